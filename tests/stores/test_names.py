from voxflow.stores.names import not_found, split_name


def test_lists_are_cut():
    text = not_found("a.hdf", "x17", [f"x{i}" for i in range(40)])
    assert "has: x17, " in text
    assert text.endswith("and 28 more")


def test_empty_files():
    assert not_found("a.hdf", "x", []).endswith("no datasets at all")


def test_a_path_stands_behind_a_colon_or_in_a_file(tmp_path):
    assert split_name("a.zarr:x/y") == ("a.zarr", "x/y")
    assert split_name("a.zarr") == ("a.zarr", "")
    assert split_name("a.zarr:/x/") == ("a.zarr", "x")
    assert split_name("s3://bucket/a.zarr") == ("s3://bucket/a.zarr", "")
    assert split_name("s3://bucket/a.zarr:x") == ("s3://bucket/a.zarr", "x")
    assert split_name("C:\\a.hdf:x") == ("C:\\a.hdf", "x")
    assert split_name("C:\\a.hdf") == ("C:\\a.hdf", "")
    odd = tmp_path / "a:b.hdf"
    odd.touch()
    assert split_name(str(odd)) == (str(odd), "")
    assert split_name(f"{odd}:x/y") == (str(odd), "x/y")
    (tmp_path / "c.hdf").touch()
    assert split_name(f"{tmp_path}/c.hdf/x/y") == (f"{tmp_path}/c.hdf", "x/y")
