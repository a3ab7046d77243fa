"""`/api/users/`: add, show and remove users. Passwords go in and never come out."""

from __future__ import annotations

from eagle_logger.core.paths import cloud_id_of
from eagle_logger.errors import BadCloudId, UnknownUser
from eagle_logger.users.store import StoredUser
from eagle_logger.users.user_json import UserBody
from workers.server.handlers import ApiHandler, log
from workers.server.models import UserPage, UserView
from workers.server.problems import HttpProblem

MAX_USERS_PER_PAGE = 500


def cloud_id_in_path(text: str) -> str:
    """Raises BadCloudId."""
    try:
        return cloud_id_of(text)
    except ValueError:
        raise BadCloudId from None


class UsersHandler(ApiHandler):
    async def get(self) -> None:
        """A page of users, in order of cloud id."""
        limit = self._parse_limit()
        after = self.get_query_argument("after", "")
        pages = self.bridge.users.all(after=cloud_id_in_path(after) if after else "", batch=limit)
        page: list[StoredUser] = await anext(pages, [])
        users = [UserView.of(stored) for stored in page]
        self.answer(UserPage(users=users, next=users[-1].cloud_id if len(users) == limit else None))

    def _parse_limit(self) -> int:
        text = self.get_query_argument("limit", "100")
        if not (
            text.isascii()
            and text.isdecimal()
            and len(text) <= 9
            and 1 <= int(text) <= MAX_USERS_PER_PAGE
        ):
            detail = f"limit is a number from 1 to {MAX_USERS_PER_PAGE}"
            raise HttpProblem(400, "bad_limit", detail)
        return int(text)


class UserHandler(ApiHandler):
    async def get(self, name: str) -> None:
        self.answer(UserView.of(await self._find_user(cloud_id_in_path(name))))

    async def post(self, name: str) -> None:
        """Add the user, or replace its credentials and cadence."""
        cloud_id = cloud_id_in_path(name)
        body = UserBody.model_validate_json(self.read_body())
        is_new = await self.bridge.users.get(cloud_id) is None
        await self.bridge.users.put([body.new_user(cloud_id)])
        log.info("user_put", cloud_id=cloud_id, peer=self.request.remote_ip)
        self.set_header("Location", f"/api/users/{cloud_id}")
        self.answer(UserView.of(await self._find_user(cloud_id)), 201 if is_new else 200)

    async def delete(self, name: str) -> None:
        cloud_id = cloud_id_in_path(name)
        if not await self.bridge.users.remove(cloud_id):
            raise UnknownUser
        log.info("user_removed", cloud_id=cloud_id, peer=self.request.remote_ip)
        self.set_status(204)
        self.finish()

    async def _find_user(self, cloud_id: str) -> StoredUser:
        """Raises UnknownUser."""
        stored = await self.bridge.users.get(cloud_id)
        if stored is None:
            raise UnknownUser
        return stored
