from voxflow.stores.names import not_found


def test_lists_are_cut():
    text = not_found("a.hdf", "x17", [f"x{i}" for i in range(40)])
    assert "has: x17, " in text
    assert text.endswith("and 28 more")


def test_empty_files():
    assert not_found("a.hdf", "x", []).endswith("no datasets at all")
