"""HTML out of Python calls. Text is always escaped; only what ``tag`` and ``join`` return is markup."""

import html
from collections.abc import Iterable

_VOID = {"br", "img", "input", "meta"}


class Html(str):
    """Markup that needs no escaping; made by ``tag``, ``join`` and from the report's own style and script files."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]
Attribute = str | int | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return ``<name attributes>children</name>``.

    ``class_`` is the attribute class, ``data_value`` is data-value; None and False leave an attribute out, True writes
    it without a value. Children may be nested iterables; None is left out.
    """
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(opening) if name in _VOID else Html(f"{opening}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Return the children one after the other, escaped where they are plain text."""
    return Html("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return html.escape(str(child))
    return join(child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
