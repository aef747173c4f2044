# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed for these tests, and for whom."""

CHOSEN = {"COMPONENTS": "mlflow,jupyterhub,prefect,dask,feast,kserve"}
# One in the group lab, and one in none.
ADA, EVE = "ada@example.org", "eve@example.org"
