"""Shell completion of ``rollcall``, as a script that is made once: pressing Tab starts no Python.

rollcall completion bash > ~/.local/share/bash-completion/completions/rollcall
rollcall completion zsh  >> ~/.zshrc
rollcall completion fish > ~/.config/fish/completions/rollcall.fish
"""

import argparse
import importlib
import shlex
from collections.abc import Callable, Mapping, Sequence

from jobs.cli.command import OK, run_command
from jobs.cli.commands import commands, summary
from pipeline.errors import ConfigError

Parsers = Mapping[str, argparse.ArgumentParser]
_BASH = """_rollcall() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W {commands} -- "$current"))
        return
    fi
    case "${{COMP_WORDS[1]}} $previous" in
{choices}
    esac
    if [[ -z $words && $current == -* ]]; then
        case "${{COMP_WORDS[1]}}" in
{options}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _rollcall rollcall
"""


def parsers() -> Parsers:
    """Return the parser of every job that has a ``build_parser``; of others only the name is completed."""
    found = {name: importlib.import_module(f"jobs.{module}") for name, module in commands().items()}
    return {name: module.build_parser() for name, module in found.items() if hasattr(module, "build_parser")}


def bash(known: Parsers) -> str:
    """Return the script for bash: commands, then options and the values of those that have a choice, else files."""
    options, choices = [], []
    for name, parser in known.items():
        flags = [flag for action in _actions(parser) for flag in action.option_strings if flag.startswith("--")]
        options.append(f"            {name}) words={shlex.quote(' '.join(flags))} ;;")
        for action in _actions(parser):
            if action.choices:
                pattern = "|".join(shlex.quote(f"{name} {flag}") for flag in action.option_strings)
                choices.append(f"        {pattern}) words={shlex.quote(' '.join(map(str, action.choices)))} ;;")
    names = shlex.quote(" ".join([*commands(), "completion"]))
    return _BASH.format(commands=names, options="\n".join(options), choices="\n".join(choices))


def zsh(known: Parsers) -> str:
    """Return the script for zsh, which reads bash's."""
    return f"autoload -U +X bashcompinit && bashcompinit\n{bash(known)}"


def fish(known: Parsers) -> str:
    """Return the script for fish, with the help text of every option."""
    lines = ["complete -c rollcall -n __fish_use_subcommand -f -a completion -d 'Print a completion script'"]
    for name, module in commands().items():
        about = shlex.quote(summary(module))
        lines.append(f"complete -c rollcall -n __fish_use_subcommand -f -a {name} -d {about}")
    for name, parser in known.items():
        for action in _actions(parser):
            lines.append(f"complete -c rollcall -n '__fish_seen_subcommand_from {name}' {_fish_option(action)}")
    return "\n".join(lines) + "\n"


def _fish_option(action: argparse.Action) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in action.option_strings]
    values = f"-x -a {shlex.quote(' '.join(map(str, action.choices)))}" if action.choices else ""
    needs = values or ("" if action.nargs == 0 else "-r")
    about = shlex.quote((action.help or "").replace("%(default)s", str(action.default)))
    return " ".join(part for part in (*flags, needs, f"-d {about}") if part)


def _actions(parser: argparse.ArgumentParser) -> Sequence[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]


SHELLS: dict[str, Callable[[Parsers], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def main(argv: Sequence[str]) -> int:
    """Print the script for the shell named; exit code 2 for another one."""
    if list(argv) in (["-h"], ["--help"]):
        print(__doc__)
        return OK

    def write() -> int:
        if len(argv) != 1 or argv[0] not in SHELLS:
            raise ConfigError(f"needed is one of {list(SHELLS)}, got {list(argv)}.")
        print(SHELLS[argv[0]](parsers()), end="")
        return OK

    return run_command(write)
