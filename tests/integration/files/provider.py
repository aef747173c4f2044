# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenID Connect provider of one's own: Django OAuth Toolkit, with discovery, keys and the code flow.

provider.py ADDRESS PORT FOLDER CALLBACK CLIENT_SECRET: people log in by name; whoever's name begins with "new" has an address that
was never verified.
"""

from __future__ import annotations

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

CLIENT = "openmlops"


def configure(address: str, port: str, folder: str) -> None:
    """Sets Django up with a database of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    settings.configure(
        SECRET_KEY="of a test", ALLOWED_HOSTS=["*"], ROOT_URLCONF="provider", LOGIN_URL="/login", USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/provider.sqlite3"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True, "OIDC_RSA_PRIVATE_KEY": key, "OIDC_ISS_ENDPOINT": f"http://{address}:{port}/o",
            "SCOPES": {"openid": "who", "email": "address", "profile": "name"}, "OAUTH2_VALIDATOR_CLASS": "provider.Validator",
        },
    )
    django.setup()


if __name__ == "__main__":
    sys.modules["provider"] = sys.modules["__main__"]
    configure(*sys.argv[1:4])

from django.contrib.auth import get_user_model, login  # noqa: E402  Django must be set up before
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, HttpResponseRedirect  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402


class Validator(OAuth2Validator):
    """Tells the address of a person."""

    oidc_claim_scope = None

    def get_additional_claims(self, request):
        """Returns the claims beside the subject."""
        name = request.user.username
        return {"email": f"{name}@example.org", "email_verified": not name.startswith("new"), "name": name}


def page(request):
    """Logs a person in by name, as a form does."""
    if request.method != "POST":
        return HttpResponse("<form method=post><input name=username></form>")
    user, _new = get_user_model().objects.get_or_create(username=request.POST["username"])
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponseRedirect(request.GET["next"])


urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")), path("login", page)]


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_arguments):
        """Says nothing."""


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    get_application_model().objects.create(
        name="platform", client_id=CLIENT, client_secret=sys.argv[5], client_type="confidential", redirect_uris=sys.argv[4],
        authorization_grant_type="authorization-code", algorithm="RS256", skip_authorization=True)
    make_server(sys.argv[1], int(sys.argv[2]), get_wsgi_application(), handler_class=Quiet).serve_forever()
