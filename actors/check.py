"""A look at the models where the work will run, before it starts."""

import dataclasses

import ray

from pipeline.config import RunConfig


@ray.remote(max_calls=1)  # the process ends with the call and gives its memory back
def check_models(config: RunConfig, encodes: bool) -> str | None:
    """Load the acoustic model and the decoder once; return the model id. Raises ModelError or ConfigError.

    ``encodes``: whether the run needs the acoustic model. Runs from a cached first pass do not: the model is not loaded
    then, and there is no id.
    """
    from pipeline.acoustic.loading import load_model, load_tokens
    from pipeline.decoding.build import build_decoder
    from pipeline.lexicon.pronunciation import Pronouncer
    from pipeline.recognition.adapt import load_runner
    from pipeline.rescoring.stage import build_phonetics

    model = load_model(dataclasses.replace(config.acoustic, device="cpu")) if encodes else None
    build_decoder(config, load_tokens(config.acoustic) if model is None else model.tokens)
    build_phonetics(config)
    load_runner(config, Pronouncer())
    return None if model is None else model.model_id
