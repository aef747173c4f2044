# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask each of Feast's servers as notebooks and flows do: proof that they answer, run as a Job inside the cluster.

Reads FEATURE_STORE_YAML_BASE64, a client's, and ADDRESSES, which answer 200. Prints one line of JSON at the end.
"""

import base64
import json
import os
import tempfile
import time
import urllib.request
from pathlib import Path

from feast import FeatureStore

folder = Path(tempfile.mkdtemp())
(folder / "feature_store.yaml").write_bytes(base64.b64decode(os.environ["FEATURE_STORE_YAML_BASE64"]))
store = FeatureStore(repo_path=str(folder))
end = time.monotonic() + 60
while True:
    # A server that has just started is not behind its Service at once.
    try:
        views = [view.name for view in store.list_all_feature_views()]
        for address in os.environ["ADDRESSES"].split():
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert answer.status == 200, f"{address}: {answer.status}"
        break
    except Exception:  # pylint: disable=broad-except
        if time.monotonic() > end:
            raise
        time.sleep(2)
print(json.dumps({"project": store.project, "feature_views": views}))
