from importlib.resources import files

import numpy as np
from qosnets.lut import exact_lut
from qosnets_library.published import (
    PublishedCheck,
    check_published,
    published_figures,
    published_hashes,
)

ZERO = np.zeros((256, 256), dtype=np.uint16)


def test_the_exact_multiplier_and_the_constant_are_published():
    figures = published_figures("mul8u_1JJQ", exact_lut())
    assert figures.source == "EvoApproxLib v2022, PDK45"
    assert (figures.power_mw, figures.area_um2, figures.delay_ns) == (0.391, 709.6, 1.43)
    assert published_figures("mul8u_TD3", ZERO).power_mw == 0


def test_figures_belong_to_name_and_table():
    """Another netlist of the same function has other figures, another table is another circuit."""
    assert published_figures("mul8u_dadda", exact_lut()) is None
    assert published_figures("mul8u_1JJQ", ZERO) is None


def test_check():
    hashes = published_hashes()
    assert len(hashes) == len(set(hashes.values())) == 37
    assert check_published(hashes) == PublishedCheck(37, 37, ())
    assert check_published(hashes).complete
    others = {"mine": "0" * 64, "mul8u_NLX": hashes["mul8u_8U3"], "mul8u_8U3": hashes["mul8u_8U3"]}
    assert check_published(others) == PublishedCheck(37, 1, ("mul8u_NLX",))
    assert not check_published(others).complete
    assert check_published({}) == PublishedCheck(37, 0, ())


def test_homogeneous_figures_of_the_paper():
    """Table 4 of the QoS-Nets paper: power of one circuit in all layers, relative to 1JJQ."""
    text = files("qosnets_library").joinpath("data", "evoapprox_v2022_mul8u.csv").read_text("utf-8")
    rows = [line.split(",") for line in text.splitlines()[1:]]
    power = {row[0]: float(row[1]) for row in rows}
    percent = {
        name: round(100 * power[f"mul8u_{name}"] / power["mul8u_1JJQ"], 2)
        for name in ("8U3", "NLX", "1DMU")
    }
    assert percent == {"8U3": 84.14, "NLX": 70.59, "1DMU": 60.61}
