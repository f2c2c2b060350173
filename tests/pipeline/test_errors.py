"""Every foreseeable fault has an exit code of its own kind."""

import inspect

import pytest

from connectors import errors as connector_errors
from connectors.errors import AccessError, OptionError, PayloadError, SourceError, TemporaryError
from pipeline import errors
from pipeline.errors import ConfigError, Exit, NothingToMeasure, PipelineError, WarehouseError, exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (OptionError("x"), 2),
        (AccessError("x"), 3),
        (TemporaryError("x"), 4),
        (PayloadError("x"), 5),
        (WarehouseError("x"), 6),
        (NothingToMeasure("x"), 9),
        (KeyError("x"), 1),
    ],
)
def test_exit_codes_are_a_contract_with_scripts(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_a_subclass_has_the_code_of_its_class() -> None:
    class Expired(AccessError):
        pass

    assert exit_code(Expired("x")) is Exit.ACCESS


def test_every_class_of_error_has_a_code() -> None:
    for module, base in ((errors, PipelineError), (connector_errors, SourceError)):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, base) and kind is not base:
                assert exit_code(kind("x")) is not Exit.UNEXPECTED, f"give {kind.__name__} an exit code"


def test_an_error_carries_what_to_do_next() -> None:
    assert WarehouseError("locked", hint="wait").hint == "wait"
    assert str(WarehouseError("locked", hint="wait")) == "locked"
