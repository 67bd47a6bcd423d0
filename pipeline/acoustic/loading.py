"""Any CTC model by its configuration: ours by its format mark, everything else through transformers."""

from pathlib import Path

from pipeline.acoustic import checkpoint
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.model import RollcallCtc
from pipeline.config import AcousticConfig
from pipeline.types.tokens import Tokens


def load_model(config: AcousticConfig) -> CtcModel:
    """Return the loaded model of ``config.model``. Raises ModelError or ConfigError with what to do about it."""
    folder = Path(config.model)
    if checkpoint.is_model_directory(folder):
        return RollcallCtc(folder, config)
    # transformers takes seconds and 200 MB in every worker, so only runs that need it import it.
    from pipeline.acoustic.hugging_face import load_hugging_face

    return load_hugging_face(config)


def load_tokens(config: AcousticConfig) -> Tokens:
    """Return only the token inventory of ``config.model``, for workers that decode. Raises ModelError."""
    folder = Path(config.model)
    if checkpoint.is_model_directory(folder):
        return checkpoint.load_tokens(folder / checkpoint.TOKENISER)
    from pipeline.acoustic.hugging_face import load_hugging_face_tokens

    return load_hugging_face_tokens(config)
