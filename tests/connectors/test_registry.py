from importlib.metadata import EntryPoint

import pytest

from connectors import registry
from connectors.bitrix24 import Bitrix24
from connectors.errors import OptionError


@pytest.fixture
def installed(monkeypatch):
    """Pretends that other packages bring these entry points."""

    def installed(**points):
        found = [EntryPoint(name, value, registry.GROUP) for name, value in points.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: found if group == registry.GROUP else [])

    return installed


def test_own_kinds_need_no_installation(installed):
    installed()
    assert registry.kind("bitrix24") is Bitrix24
    assert registry.names() == ["bitrix24", "files"]


@pytest.mark.parametrize("name", registry.OWN)
def test_own_kinds_can_be_loaded(name, installed):
    installed()
    assert registry.kind(name).OPTIONS


def test_a_broken_package_takes_only_itself_down(installed):
    installed(broken="no_such_package:Thing", odd="json:dumps", good="connectors.bitrix24:Bitrix24")
    assert {"bitrix24", "good"} <= registry.kinds().keys()
    assert not {"broken", "odd"} & registry.kinds().keys()
    with pytest.raises(OptionError, match=r"broken.*ModuleNotFoundError") as caught:
        registry.kind("broken")
    assert "no_such_package" in caught.value.hint
    with pytest.raises(OptionError, match="no connector class"):
        registry.kind("odd")


def test_an_unknown_kind_names_the_nearest(installed):
    installed(amocrm="connectors.bitrix24:Bitrix24")
    with pytest.raises(OptionError, match="bitrx") as caught:
        registry.kind("bitrx")
    assert "did you mean 'bitrix24'" in caught.value.hint
    assert "amocrm, bitrix24, files" in caught.value.hint


def test_nobody_takes_the_place_of_our_own(installed):
    installed(bitrix24="json:JSONDecoder")
    assert registry.kind("bitrix24") is Bitrix24
