# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/build.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: build
short_description: Build Go programs and container images from package registries
version_added: "1.0.0"
description:
  - Builds the programs in C(cluster/) and the images in C(images/) of this collection, without a container engine.
  - Everything is named by the hash of what it is made of, so that only what changed is built. When everything is
    there, a few small files are read and nothing is run.
  - What is needed comes first, the longest path is started first, and a compiler and a package download run side by
    side.
  - A build that is killed leaves nothing that a later one stumbles over. A second run of the same build waits for the
    first and names its process.
options:
  artifacts:
    description:
      - What to build, as C(binary/NAME), C(image/NAME), or C(file/NAME) for the files of a program's modules.
      - What they need is built too.
    type: list
    elements: str
    required: true
  cache_dir:
    description:
      - Folder that results, logs and the caches of the builders are kept in.
      - By default E(OPENMLOPS_CACHE), or C(openmlops) in the cache folder of the user.
    type: path
  workers:
    description: How many builds run at once.
    type: int
    default: 2
  root:
    description: Root of the collection to build from; this one by default.
    type: path
attributes:
  check_mode:
    description: Says what would be built, and what this machine lacks for it.
    support: full
requirements:
  - go, in the version that the programs ask for
  - buildah and debootstrap, for images
notes:
  - Runs on the controller. Images are built as root.
  - The settings of this machine for go, pip and apt (mirrors, proxies, certificate authorities) hold inside the builds
    and are not left in an image.
author:
  - OpenMLOps Platform contributors (@openmlops)
"""

EXAMPLES = r"""
- name: Build Kubernetes and the MLflow image
  openmlops.platform.build:
    artifacts:
      - binary/kubernetes
      - image/mlflow
  register: built

- name: Show what would be built
  openmlops.platform.build:
    artifacts: [image/mlflow]
  check_mode: true
"""

RETURN = r"""
cache_dir:
  description: Folder that everything is kept in.
  type: str
  returned: success
  sample: /home/me/.cache/openmlops
todo:
  description: What was missing, what is needed first.
  type: list
  elements: str
  returned: success
  sample: [image/base, image/python, image/mlflow]
built:
  description: What was built.
  type: list
  elements: str
  returned: success
seconds:
  description: Seconds that each build took.
  type: dict
  returned: success
  sample: {image/base: 81.2}
binaries:
  description: Paths of the programs asked for, by name.
  type: dict
  returned: success
  sample: {helm: /home/me/.cache/openmlops/bin/helm-0123456789ab}
files:
  description: Paths of the files that come with the programs, by name.
  type: dict
  returned: success
  sample: {cnpg-1.30.0.yaml: /home/me/.cache/openmlops/files/cloudnative-pg-0123456789ab/cnpg-1.30.0.yaml}
images:
  description: The images asked for, by name.
  type: dict
  returned: success
  sample:
    mlflow:
      repository: localhost/openmlops/mlflow
      tag: 0123456789ab
      reference: localhost/openmlops/mlflow:0123456789ab
      archive: /home/me/.cache/openmlops/images/mlflow-0123456789ab.tar
missing_packages:
  description: Debian packages that this machine lacks for what is to be built.
  type: list
  elements: str
  returned: check mode
problems:
  description: What else stands in the way, in words.
  type: list
  elements: str
  returned: check mode
"""
