# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_bootstrap
short_description: Create what is missing in Kubernetes Secrets, and never show a value
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Makes any number of Kubernetes Secrets fit their declarations in one call.
  - Only what is missing is made. A key that exists and is not empty is never generated again, and keys that are not
    declared stay as they are.
  - Values that follow from others (a connection string, a password file, a copy in another namespace) are brought up
    to date whenever the others have changed.
  - Runs at the same time agree. What one of them has made first, the others take over.
  - Everything that is wrong with the declarations is reported at once, before anything is written.
  - No value ever appears in the result, a diff, an error or a log, whatever the verbosity.
notes:
  - The action runs on the controller. It starts no process and writes no file.
  - It needs the rights C(get), C(create) and C(update) for Secrets in the namespaces of the declarations, and C(get)
    in the namespaces of their sources. Neither C(list) nor rights in the whole cluster are needed. Only O(purge)
    needs C(delete).
  - In each namespace it keeps a Secret of its own called C(openmlops-fingerprint-key), with the random key under
    which fingerprints are made.
  - Every Secret gets the labels C(app.kubernetes.io/managed-by=openmlops) and
    C(app.kubernetes.io/part-of=openmlops-platform). Only a managed-by label of another tool stays as it is.
  - Ansible itself shows the items of a loop, and the lines of a playbook around an error. Pass all Secrets as one list,
    and keep values in variables, so that there is a template and not a value in the playbook.
attributes:
  action:
    description: Runs on the controller as an action plugin.
    support: full
  async:
    description: Can be run in the background with C(async).
    support: none
  check_mode:
    description: Says what would change and changes nothing.
    support: full
    details:
      - No value is made, so a fingerprint that depends on a new one is the text V(known-after-apply).
      - A source outside the declarations that does not exist yet is a warning, not an error.
  diff_mode:
    description: Shows what changes.
    support: full
    details:
      - Key names with a mark in place of the value. Marks are C(<given>), C(<generated>), C(<rotated>), C(<derived>),
        C(<copied>), C(<kept>) and, for what is replaced, C(<previous>).
options:
  secrets:
    description:
      - The Secrets.
      - A reference to a key (called I(reference) below) is written C(key) for a key of the same Secret, C(secret/key)
        for one in the same namespace, or C(namespace/secret/key). It can name a key of another declaration or of a
        Secret that exists. A reference to a Secret is written C(secret) or C(namespace/secret).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The Secret's name.
        type: str
        required: true
      namespace:
        description: The Secret's namespace, which must exist.
        type: str
        required: true
      state:
        description:
          - V(absent) deletes the Secret, but only with O(purge=true) and only when it has the label
            C(app.kubernetes.io/managed-by=openmlops). Otherwise it is kept.
        type: str
        choices: [present, absent]
        default: present
      type:
        description:
          - The Secret's type. The keys that Kubernetes demands of a type must be declared.
          - When not given, that of the existing Secret or of the source of a copy, and V(Opaque) otherwise.
        type: str
      labels:
        description: Labels to set beside those of the platform. Others stay.
        type: dict
      annotations:
        description: Annotations to set. Others stay.
        type: dict
      copy_from:
        description:
          - Another Secret whose keys are all copied. Keys in O(secrets[].data) win over copied ones.
          - The copy follows its source. Keys that the source has lost stay in the copy.
        type: str
      data:
        description:
          - What each key holds. The name of the key stands before its specification.
          - A specification has exactly one source, which is one of C(value), C(generate), C(format), C(copy),
            C(htpasswd), C(dockerconfigjson), C(public_of), C(public_jwks_of), C(certificate). Only C(value) and
            C(generate) may stand together, which means your value if there is one and a generated value otherwise.
          - "C(value): a text or number given by you. An empty one counts as not given. With C(encoding: base64) it is
            given in base64. With C(overwrite: never) it only fills a key that is missing; by default (V(if_given)) it
            replaces another value."
          - "C(generate: password): a random text of C(length) characters (32, from 8 to 4096) with at least one
            character of each class in C(classes) (V([lower, upper, digits]); also V(symbols), whose characters
            C(symbols) names). C(characters) names the alphabet instead. C(exclude_ambiguous) leaves out characters
            that look alike."
          - "C(generate: hex): C(bytes) random bytes (32) in hexadecimal digits, two for each."
          - "C(generate: base64): C(bytes) random bytes (32) in base64; C(urlsafe) (V(false)) and C(padding) (V(true))
            choose the form."
          - "C(generate: uuid): a random UUID. C(generate: fernet): a key for the Python class Fernet."
          - "C(generate: rsa): a private key in PEM of C(bits) V(2048), V(3072) (default) or V(4096). C(generate:
            ecdsa): one on the C(curve) V(P-256) (default), V(P-384) or V(P-521). C(generate: ed25519): one of this
            kind. C(encoding) is V(pkcs8) (default), V(traditional) or V(openssh)."
          - "C(generate: jwks): a private JSON Web Key Set for C(algorithm) V(RS256) (default), V(ES256) or V(EdDSA),
            with C(bits) for RSA, C(kid) (the key's thumbprint when not given), C(use) (V(sig)) and C(keep_previous)
            (0), the number of older keys that stay behind the new one after a rotation."
          - "C(only_by_name) (V(false)), beside C(generate): more depends on the value than programs that are started anew, such as data
            that is encrypted with it. It is rotated when it is named, and not when C(playbooks/rotate.yml) rotates all."
          - "C(public_of): a reference to a private key in PEM, whose public key this is; C(encoding) is V(pem) or
            V(openssh). C(public_jwks_of): a reference to a private set, whose public set this is."
          - "C(certificate): a mapping of C(private_key) (a reference, required), C(common_name), C(dns_names),
            C(ip_addresses), C(organization), C(days) (365), C(renew_days) (0), C(is_ca) (V(false)), C(usages)
            (V([server, client])), C(ca_certificate) and C(ca_private_key) (references; self-signed without them). It is
            kept while it belongs to its private key and authority, and made anew when these change, on O(rotate), and
            when fewer than C(renew_days) are left; never because of its names, nor of its age without C(renew_days)."
          - "C(format): a text with C({place}) for each value to put in and C({{) for a brace. A place is a key of the
            same Secret or an entry of C(from), which maps places to references. Values are quoted as C(quote) says,
            V(url) (default: percent signs, right everywhere in a URL), V(raw), V(json) or V(base64), or as a single
            place says, as in C({password:raw})."
          - "C(htpasswd): one login or a list of them, each C(username) or C(username_from) (a reference) and
            C(password) or C(password_from). Hashed by bcrypt at C(cost) (10). A stored hash that fits the password
            stays."
          - "C(dockerconfigjson): one login or a list of them as above, each with C(registry) and optionally
            C(email)."
          - "C(copy): a reference to the key whose value this is."
        type: dict
  rotate:
    description:
      - Keys to give a new value, each written C(namespace/secret/key). Everything that follows from them is brought
        up to date.
      - Only generated values and certificates can be rotated. It happens on each call that names the key.
    type: list
    elements: str
    default: []
  rotate_undeclared:
    description:
      - What to do with an entry of O(rotate) that is not declared in this call. V(ignore) is for one list that is
        passed to several calls.
    type: str
    choices: [fail, ignore]
    default: fail
  purge:
    description: Delete the Secrets whose O(secrets[].state) is V(absent). Their values are lost.
    type: bool
    default: false
  kubeconfig:
    description:
      - Path of a kubeconfig file. Goes with O(context). The inventory variable C(platform_kubeconfig) stands in for it.
    type: path
  context:
    description: Context of the kubeconfig, always named, never a default one. C(platform_context) stands in for it.
    type: str
  host:
    description:
      - URL of the API server, in place of a kubeconfig. Goes with O(api_key). C(platform_api_host) stands in for it.
    type: str
  api_key:
    description: Bearer token for O(host). C(platform_api_key) stands in for it.
    type: str
  ca_cert:
    description: Path of the certificate authority of O(host). C(platform_api_ca_cert) stands in for it.
    type: path
  validate_certs:
    description: Whether the certificate of O(host) is checked. C(platform_api_validate_certs) stands in for it.
    type: bool
    default: true
requirements:
  - kubernetes >= 24.2.0
  - cryptography (for key pairs, key sets and certificates)
  - bcrypt (for htpasswd)
"""

EXAMPLES = r"""
- name: The database's owner, with a connection string that is right whatever the password holds
  openmlops.platform.secret_bootstrap:
    kubeconfig: ~/.kube/config
    context: staging
    secrets:
      - name: mlflow-db
        namespace: mlflow
        type: kubernetes.io/basic-auth
        data:
          username:
            value: mlflow
          password: # yours when it is set, else generated once
            value: "{{ mlflow_database_password | default(omit) }}"
            generate: password
          uri:
            format: postgresql+psycopg2://{username}:{password}@postgresql.data.svc:5432/mlflow
  register: db

- name: Roll the pods when a value has changed
  ansible.builtin.debug:
    msg: "checksum/mlflow-db: {{ db.fingerprints['mlflow/mlflow-db'] }}"

- name: Every generator
  openmlops.platform.secret_bootstrap:
    secrets:
      - name: generated
        namespace: demo
        data:
          password: {generate: password, length: 40, classes: [lower, upper, digits, symbols], exclude_ambiguous: true}
          pin: {generate: password, length: 12, characters: "0123456789"}
          session: {generate: hex, bytes: 16}
          cookie: {generate: base64, bytes: 32, urlsafe: true, padding: false}
          id: {generate: uuid}
          fernet: {generate: fernet}
          rsa.pem: {generate: rsa, bits: 4096}
          rsa.pub: {public_of: rsa.pem}
          ecdsa.pem: {generate: ecdsa, curve: P-384}
          ssh: {generate: ed25519, encoding: openssh}
          ssh.pub: {public_of: ssh, encoding: openssh}
          jwks.json: {generate: jwks, algorithm: ES256, keep_previous: 1}
          jwks.pub.json: {public_jwks_of: jwks.json}

- name: A certificate authority, and a server certificate signed by it
  openmlops.platform.secret_bootstrap:
    secrets:
      - name: platform-ca
        namespace: demo
        type: kubernetes.io/tls
        data:
          tls.key: {generate: ecdsa}
          tls.crt: {certificate: {private_key: tls.key, common_name: Platform CA, is_ca: true, days: 3650}}
      - name: gateway-tls
        namespace: demo
        type: kubernetes.io/tls
        data:
          tls.key: {generate: ecdsa}
          tls.crt:
            certificate:
              private_key: tls.key
              dns_names: [platform.example.org, "*.platform.example.org"]
              days: 365
              ca_certificate: platform-ca/tls.crt
              ca_private_key: platform-ca/tls.key
          ca.crt: {copy: platform-ca/tls.crt}

- name: Values that follow from others
  openmlops.platform.secret_bootstrap:
    secrets:
      - name: registry
        namespace: demo
        type: kubernetes.io/dockerconfigjson
        data:
          .dockerconfigjson:
            dockerconfigjson:
              registry: registry.example.org
              username: robot
              password: "{{ registry_password }}"
      - name: registry # the same login where the notebooks run
        namespace: jupyterhub
        copy_from: demo/registry
      - name: dashboard-users
        namespace: demo
        data:
          auth: {htpasswd: [{username: admin, password_from: generated/password}]}
          config.json:
            format: !unsafe '{{"database": "{dsn:json}"}}'
            from: {dsn: mlflow/mlflow-db/uri}

- name: A new password for the database's owner; the connection string follows
  openmlops.platform.secret_bootstrap:
    secrets: "{{ my_secrets }}"
    rotate:
      - mlflow/mlflow-db/password

- name: Remove a Secret for good
  openmlops.platform.secret_bootstrap:
    secrets:
      - {name: mlflow-db, namespace: mlflow, state: absent}
    purge: true
"""

RETURN = r"""
secrets:
  description: What happened to each declared Secret, in the order of the declarations. Names and marks, no value.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: The Secret's namespace.
      type: str
    name:
      description: The Secret's name.
      type: str
    action:
      description: V(created), V(updated), V(deleted) or V(unchanged).
      type: str
    created_keys:
      description: Keys that were missing or empty.
      type: list
      elements: str
    rotated_keys:
      description: Keys that have a new value because O(rotate) asked for it.
      type: list
      elements: str
    updated_keys:
      description: Keys whose value was given by you or follows from others and has changed.
      type: list
      elements: str
    kept_keys:
      description: Declared keys that stay as they were.
      type: list
      elements: str
    fingerprint:
      description:
        - An opaque mark that changes when, and only when, a value, a key or the type changes. Keys that are not
          declared count too.
        - It is made with a random key that stays in the namespace, so that values cannot be guessed from it.
        - V(known-after-apply) in check mode when a value would change.
      type: str
    certificates:
      description: The Secret's declared certificates. Only there when it has any.
      type: list
      elements: dict
      contains:
        key:
          description: The certificate's key.
          type: str
        expires:
          description: When it ends, in UTC.
          type: str
        days_left:
          description: Whole days until then; negative after it.
          type: int
  sample:
    - namespace: mlflow
      name: mlflow-db
      action: updated
      created_keys: [uri]
      rotated_keys: []
      updated_keys: []
      kept_keys: [password, username]
      fingerprint: 3f0c9d0e7a6b51c2d8e4f60718293a4b
fingerprints:
  description: The fingerprints of all declared Secrets by C(namespace/name).
  returned: success
  type: dict
  sample:
    mlflow/mlflow-db: 3f0c9d0e7a6b51c2d8e4f60718293a4b
"""
