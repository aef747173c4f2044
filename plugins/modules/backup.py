# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/backup.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Make, list and fetch backups of the platform's data
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - The work is done in the cluster, by a Job and a pod whose manifests the role P(openmlops.platform.backup#role) renders. Neither has an
    account that may ask the API server for anything.
  - A backup has a manifest with the size and SHA-256 of each part. It is written last, once everything was read back and found right, so
    what was interrupted is never taken for a backup.
  - Secrets are sealed on the controller (scrypt, AES-256-GCM) under the inventory's C(backup_passphrase), or what
    C(backup_passphrase_file) holds. Their values are in no result, diff or log.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  state:
    description:
      - V(made) seals the Secrets and makes a backup. V(sealed) only seals them, for backups on a schedule. Without a passphrase those that
        were sealed last stay, and the run says of when they are.
      - V(listed) returns what there is. V(fetched) copies a backup to the controller.
    type: str
    choices: [sealed, made, listed, fetched]
    required: true
  namespace:
    description: Namespace of the backups.
    type: str
    required: true
  job:
    description: Manifest of the Job that makes a backup, with O(state=made).
    type: dict
  reader:
    description: Manifest of the pod that reads backups, with O(state=listed) and O(state=fetched).
    type: dict
  name:
    description: Name of the backup that is fetched, or V(latest).
    type: str
    default: latest
  folder:
    description: Folder on the controller in which a fetched backup gets a folder of its name.
    type: path
  dest:
    description: File on the controller that the manifests are written to, as JSON.
    type: path
  timeout:
    description: Seconds that the Job may take.
    type: float
    default: 21600.0
attributes:
  check_mode:
    description: Makes and fetches nothing. Listing starts the pod that reads, and removes it.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - Runs on the controller. Needs the right to create C(pods/portforward) in O(namespace) to list and fetch.
seealso:
  - module: openmlops.platform.restore
"""

EXAMPLES = r"""
- name: The Secrets of scheduled backups are those of today
  openmlops.platform.backup:
    state: sealed
    namespace: backup
"""

RETURN = r"""
backups:
  description: Manifests, with C(name), C(started), C(finished), C(components), C(not_in_it) and C(parts).
  returned: except with state sealed
  type: list
  elements: dict
"""
