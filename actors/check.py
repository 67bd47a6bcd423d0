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
    from pipeline.recognition.recogniser import Recogniser

    config = dataclasses.replace(config, acoustic=dataclasses.replace(config.acoustic, device="cpu"))
    recogniser = Recogniser.load(config, encodes=encodes)
    return recogniser.parts.model.model_id if encodes else None
