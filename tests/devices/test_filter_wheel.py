import pytest

from hal.base import DeviceError, DeviceTimeout, LimitError, ParameterError
from hal.devices import find_slot
from modules.simulation import SimFilterWheel


class SlippingWheel(SimFilterWheel):
    """Stops one slot too early."""

    def _do_slot(self) -> int:
        return max(1, super()._do_slot() - 1)


def test_names_are_those_of_the_filters() -> None:
    assert SimFilterWheel(filters=" DAPI,GFP , Cy5").names == ("DAPI", "GFP", "Cy5")


@pytest.mark.parametrize("filters", ["", "DAPI,,GFP", "DAPI,", "DAPI,GFP, DAPI"])
def test_filters_without_a_name_of_their_own_are_refused(filters: str) -> None:
    with pytest.raises(ParameterError, match="expected different names"):
        SimFilterWheel(filters=filters)


def test_filters_have_to_be_given() -> None:
    with pytest.raises(ParameterError, match="filters is missing"):
        SimFilterWheel()


def test_unknown_filter_is_refused_with_the_name_that_was_meant() -> None:
    wheel = SimFilterWheel(filters="DAPI,GFP")
    wheel.open()

    with pytest.raises(LimitError) as refused:
        wheel.move_to("GPF")

    assert str(refused.value) == (
        "unknown filter 'GPF': expected one of DAPI, GFP; did you mean 'GFP'?"
    )


@pytest.mark.parametrize("slot", [0, 3, -1, 1.5])
def test_slot_that_is_not_there_is_refused_with_those_that_are(slot: int) -> None:
    wheel = SimFilterWheel(filters="DAPI,GFP")
    wheel.open()

    with pytest.raises(LimitError, match=r"expected 1 to 2 \(DAPI, GFP\)"):
        wheel.move_to(slot)


def test_filter_named_like_a_number_is_found_by_name() -> None:
    wheel = SimFilterWheel(filters="2,1", slot_time_s=1e-3)
    wheel.open()

    wheel.move_to("1")

    assert wheel.slot() == 2


def test_text_that_is_no_name_may_be_the_number_of_a_slot() -> None:
    names = ("525/50", "1", "605/70")

    assert find_slot(names, "605/70") == 3
    assert find_slot(names, "1") == 2  # names come first
    assert find_slot(names, "3") == find_slot(names, 3) == 3
    for missing in ("0", "4", "525", "-1", "1.0", "²", "", 0, 4):
        assert find_slot(names, missing) is None


def test_wrong_slot_after_a_move_is_an_error() -> None:
    wheel = SlippingWheel(filters="DAPI,GFP,Cy5", slot_time_s=1e-3)
    wheel.open()

    with pytest.raises(DeviceError, match="stopped at slot 2, expected 3"):
        wheel.move_to("Cy5")


def test_move_that_does_not_end_is_halted_and_timed_out() -> None:
    wheel = SimFilterWheel(filters="DAPI,GFP", slot_time_s=60.0, move_timeout_s=0.05)
    wheel.open()

    with pytest.raises(DeviceTimeout, match="motion was halted"):
        wheel.move_to(2)

    assert not wheel.is_moving()
    assert wheel.slot() == 1


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("525/50", (500.0, 550.0)),
        ("FF01-605/70", (570.0, 640.0)),
        ("BP 447/60.5", (416.75, 477.25)),
        ("1050/100", (1000.0, 1100.0)),
        ("empty", None),
        ("525", None),
        ("50/525/50", None),
        ("12525/50", None),
        ("GFP 1/2", None),
        ("440/40 521/25", None),
    ],
)
def test_a_pass_band_is_what_the_name_says(
    name: str, band: tuple[float, float] | None
) -> None:
    wheel = SimFilterWheel(filters=f"nothing, {name}")

    assert wheel.pass_band_nm(name) == wheel.pass_band_nm(2) == band


def test_a_filter_that_is_not_there_has_no_pass_band() -> None:
    with pytest.raises(LimitError, match="expected 1 to 2"):
        SimFilterWheel(filters="a,b").pass_band_nm(3)
