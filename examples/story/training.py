# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers of a Dask cluster compute. A small file of its own: it is sent to them."""

import socket

from sklearn.linear_model import ElasticNet
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def model(alpha: float) -> Pipeline:
    """Returns an untrained model; a small alpha lets it learn more."""
    return make_pipeline(StandardScaler(), ElasticNet(alpha=alpha, random_state=0))


def score(alpha: float, features, target) -> dict:
    """Returns how well a model does on data that it has not seen (R², at best 1), and where that was computed."""
    r2 = cross_val_score(model(alpha), features, target, cv=5, scoring="r2").mean()
    return {"alpha": alpha, "r2": float(r2), "host": socket.gethostname()}
