import pytest
import torch

from pipeline.acoustic.precision import autocast, choose_dtype
from pipeline.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("capable", "wanted"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_only_where_the_cpu_has_instructions_for_it(
    capable: bool, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: capable)
    assert choose_dtype("auto", CPU) is wanted


def test_float32_is_not_cast() -> None:
    with autocast(CPU, torch.float32):
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype is torch.float32
    with autocast(CPU, torch.bfloat16):
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype is torch.bfloat16


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(ConfigError, match=r"acoustic\.dtype must be one of .*float8"):
        choose_dtype("float8", CPU)
