import pytest

@pytest.mark.parametrize("n", range(7))
def test_good(n):
    assert n >= 0

def test_wrong():
    assert "Paris" in "I do not know <b>&amp;</b>"

@pytest.fixture
def broken():
    raise RuntimeError("no server")

def test_setup_breaks(broken):
    pass

@pytest.mark.skip(reason="not for this model")
def test_skipped():
    pass

@pytest.mark.xfail(reason="known")
def test_known():
    assert False

@pytest.mark.xfail(reason="known, but it passes")
def test_better_than_known():
    pass
