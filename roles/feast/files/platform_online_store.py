# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feast's online store in PostgreSQL, with two things more.

It makes the table of a feature view when it is first needed. Feast makes tables where `apply` runs; notebooks and flows apply at
the registry server and hold no password of the database, so their views would have no table. And it lives through a restart of
the database: Feast keeps a connection for good, or never gives it back to its pool after an error.
"""

from __future__ import annotations

import contextlib

import psycopg
import psycopg_pool
import pydantic
from feast.infra.online_stores.postgres_online_store import postgres
from feast.infra.utils.postgres import connection_utils


class PostgreSQLOnlineStoreConfig(postgres.PostgreSQLOnlineStoreConfig):
    """The settings of Feast's own."""

    @pydantic.field_validator("type", mode="before")
    @classmethod
    def _as_feast_calls_it(cls, _value: str) -> str:
        return "postgres"


class PostgreSQLOnlineStore(postgres.PostgreSQLOnlineStore):
    """Feast's own, with a table for each view and connections that are looked at before they are used."""

    def __init__(self) -> None:
        super().__init__()
        self._made: set[tuple] = set()

    @contextlib.contextmanager
    def _get_conn(self, config, autocommit=False):
        if self._conn_pool is None:
            kind = psycopg_pool.ConnectionPool
            self._conn_pool = kind(**_pool(config.online_store), check=kind.check_connection, open=True)
        with self._conn_pool.connection() as connection:
            connection.set_autocommit(autocommit)
            yield connection

    @contextlib.asynccontextmanager
    async def _get_conn_async(self, config, autocommit=False):
        if self._conn_pool_async is None:
            kind = psycopg_pool.AsyncConnectionPool
            self._conn_pool_async = kind(**_pool(config.online_store), check=kind.check_connection, open=False)
            await self._conn_pool_async.open()
        async with self._conn_pool_async.connection() as connection:
            await connection.set_autocommit(autocommit)
            yield connection

    def _make_table(self, config, view) -> None:
        # Taken away and made again, a view is another one.
        made = (config.project, view.name, view.created_timestamp)
        if made not in self._made:
            # Another worker may be making it at the same moment: then it is there.
            with contextlib.suppress(psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
                self.update(config, [], [view], [], [], partial=True)
            self._made.add(made)

    def online_write_batch(self, config, table, data, progress):
        """Writes rows of a view."""
        self._make_table(config, table)
        super().online_write_batch(config, table, data, progress)

    def online_read(self, config, table, entity_keys, requested_features=None):
        """Reads rows of a view."""
        self._make_table(config, table)
        return super().online_read(config, table, entity_keys, requested_features)

    async def online_read_async(self, config, table, entity_keys, requested_features=None):
        """Reads rows of a view."""
        self._make_table(config, table)
        return await super().online_read_async(config, table, entity_keys, requested_features)


def _pool(settings) -> dict:
    """Returns what both kinds of pool are made with."""
    return {
        # pylint: disable=protected-access  # how Feast itself makes an address of its settings
        "conninfo": connection_utils._get_conninfo(settings), "kwargs": connection_utils._get_conn_kwargs(settings),
        "min_size": settings.min_conn, "max_size": settings.max_conn,
    }
