"""A look at the models where the work will run, before it starts."""

import dataclasses

import ray

from pipeline.config import RunConfig


@ray.remote(max_calls=1)  # the process ends with the call and gives its memory back
def check_models(config: RunConfig) -> str:
    """Load the acoustic model and the decoder once; return the model id. Raises ModelError or ConfigError."""
    from pipeline.acoustic.loading import load_model
    from pipeline.decoding.build import build_decoder
    from pipeline.phonetics.second_pass import build_phonetics

    model = load_model(dataclasses.replace(config.acoustic, device="cpu"))
    build_decoder(config, model.tokens)
    build_phonetics(config)
    return model.model_id
