from __future__ import annotations

import itertools
import sys

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from gansfp.data.sources.nifti import NiftiSource
from gansfp.errors import UserError

HU = np.random.default_rng(0).integers(-1000, 400, (5, 5, 4)).astype(np.int16)
"""An asymmetric volume; axes point right, front and head."""
AXES = [
    "".join(codes[k] for k in order)
    for codes in itertools.product("RL", "AP", "SI")
    for order in itertools.permutations(range(3))
]


def save(path, volume=HU, axes="RAS", scale=None):
    """Store a volume with its axes pointing as told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axes))
    affine = np.diag([0.7, 0.7, 2.5, 1]) @ inv_ornt_aff(turn, volume.shape)
    image = nibabel.Nifti1Image(apply_orientation(volume, turn), affine)
    if scale is not None:
        image.header.set_slope_inter(*scale)
    nibabel.save(image, path)
    return path


def grey(hu):
    clipped = np.clip((np.asarray(hu, float) + 1000) / 1400, 0, 1) * 255
    return np.vectorize(round)(clipped).astype(np.uint8)


def shown(volume=HU):
    """What a radiologist sees, by definition: the patient's right on the left, the front on top."""
    width, depth, height = volume.shape
    return np.array(
        [
            [
                [grey(volume[width - 1 - column, depth - 1 - row, k]) for column in range(width)]
                for row in range(depth)
            ]
            for k in range(height)
        ]
    )


def read(path, **options):
    return NiftiSource(str(path), **options).read()


@pytest.mark.parametrize("axes", AXES)
def test_every_storage_orientation_looks_the_same(tmp_path, axes):
    save(tmp_path / "a.nii", axes=axes)
    np.testing.assert_array_equal(read(tmp_path).pixels, shown())


def test_right_is_left_front_is_up_and_the_head_comes_last(tmp_path):
    volume = np.full((5, 5, 3), -1000, np.int16)
    volume[:, 2, :] = 0
    volume[4, 2, 2], volume[2, 4, 0] = 400, 400  # right, in the top slice; front, in the lowest
    save(tmp_path / "a.nii", volume, "LPS")
    found = read(tmp_path).pixels
    assert found[2, 2, 0] == 255
    assert found[0, 0, 2] == 255
    assert (found == 255).sum() == 2


def test_an_oblique_volume_is_cut_along_the_nearest_axis(tmp_path):
    turn = np.radians(20)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    nibabel.save(nibabel.Nifti1Image(HU, affine), tmp_path / "a.nii")
    np.testing.assert_array_equal(read(tmp_path).pixels, shown())


def test_compressed_scaled_and_float_volumes(tmp_path):
    save(tmp_path / "plain/a.nii.gz", axes="PIR")
    np.testing.assert_array_equal(read(tmp_path / "plain").pixels, shown())
    save(tmp_path / "scaled/a.nii", HU + 1024, scale=(1, -1024))
    np.testing.assert_array_equal(read(tmp_path / "scaled").pixels, shown())
    floats = HU.astype(np.float32)
    floats[0, 0, 0] = np.nan
    save(tmp_path / "float/a.nii", floats[..., None])
    found = read(tmp_path / "float").pixels
    assert found[0, 4, 4] == 0
    np.testing.assert_array_equal(found[1:], shown()[1:])


def test_groups_order_and_chosen_slices(tmp_path):
    for k, name in enumerate(("b/p2_x.nii.gz", "p10_x.nii", "p9_x.nii")):
        save(tmp_path / name, np.roll(HU, k, axis=0))
    found = read(tmp_path, slices=2)
    assert found.names == tuple(
        f"{stem}/{k:04d}" for stem in ("b/p2_x", "p9_x", "p10_x") for k in (2, 4)
    )
    assert found.groups == ("b/p2_x",) * 2 + ("p9_x",) * 2 + ("p10_x",) * 2
    np.testing.assert_array_equal(found.pixels[:2], shown()[[1, 3]])
    middle = read(tmp_path, slices=2, spread="middle", group_regex=r"p(\d+)", pattern="p*.nii")
    assert middle.groups == ("9", "9", "10", "10")
    assert [name[-1] for name in middle.names] == ["2", "3", "2", "3"]
    assert len(read(tmp_path, limit=3)) == 3


def test_blank_slices_are_left_out_and_shared_ones_refused(tmp_path):
    volume = HU.copy()
    volume[..., 0], volume[..., 3] = -1000, volume[..., 2]
    save(tmp_path / "a.nii", volume)
    assert read(tmp_path).names == ("a/0002", "a/0003")
    save(tmp_path / "b.nii", volume)
    with pytest.raises(UserError, match=r"b\.nii: the same image as .*a\.nii, of another patient"):
        read(tmp_path)
    assert read(tmp_path, group_regex=r"\.nii").names == ("a/0002", "a/0003")


def test_faults_are_told_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no \.nii or \.nii\.gz file"):
        read(tmp_path)
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((4, 4, 2, 3), np.int16), np.eye(4)), tmp_path / "a.nii"
    )
    with pytest.raises(UserError, match=r"a\.nii: shape \(4, 4, 2, 3\)"):
        read(tmp_path)
    (tmp_path / "a.nii").write_bytes(b"text")
    with pytest.raises(UserError, match=r"a\.nii: unreadable"):
        read(tmp_path)
    save(tmp_path / "a.nii", HU[:, :4])
    with pytest.raises(UserError, match=r"source\.crop=true"):
        read(tmp_path)
    assert read(tmp_path, crop=True).pixels.shape == (4, 4, 4)
    save(tmp_path / "a.nii", np.full((4, 4, 2), -1000, np.int16))
    with pytest.raises(UserError, match=r"set source\.window"):
        read(tmp_path)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UserError, match=r"nibabel is not installed"):
        read(tmp_path)
