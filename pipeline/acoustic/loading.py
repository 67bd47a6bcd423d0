"""Any CTC model by its configuration: ours by its format mark, everything else through transformers.

Networks are imported when one is loaded: torch and transformers take three seconds and 250 MB in every worker, and
those that decode need the tokens only.
"""

from pathlib import Path

from pipeline.acoustic import model_files
from pipeline.acoustic.interface import CtcModel
from pipeline.config import AUTO, LETTERS, AcousticConfig
from pipeline.types.tokens import Tokens


def load_model(config: AcousticConfig) -> CtcModel:
    """Return the loaded model of ``config.model``, with the phones of ``config.phones`` beside it where that is set.

    These are another model's, or its own letters.

    Raises ModelError or ConfigError with what to do about it.
    """
    model = _load_alone(config)
    if config.phones in (None, AUTO):
        return model
    if config.phones == LETTERS:
        from pipeline.acoustic.letters import WithLetters

        return WithLetters(model)
    from pipeline.acoustic.companion import PhoneFront, WithPhones

    return WithPhones(model, PhoneFront(Path(config.phones), config))


def _load_alone(config: AcousticConfig) -> CtcModel:
    folder = Path(config.model)
    if model_files.is_model_directory(folder):
        from pipeline.acoustic.model import RollcallCtc

        return RollcallCtc(folder, config)
    from pipeline.acoustic.hugging_face import load_hugging_face

    return load_hugging_face(config)


def load_tokens(config: AcousticConfig) -> Tokens:
    """Return only the token inventory of ``config.model``, for workers that decode. Raises ModelError."""
    folder = Path(config.model)
    if model_files.is_model_directory(folder):
        return model_files.load_tokens(folder / model_files.TOKENISER)
    from pipeline.acoustic.hugging_face import load_hugging_face_tokens

    return load_hugging_face_tokens(config)
