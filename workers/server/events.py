"""`POST /api/event/{cloud_id}`: fetch this user now."""

from __future__ import annotations

from eagle_logger.errors import UnknownUser
from eagle_logger.sns.fetch_request import FetchRequest
from workers.bridge.request_log import record_request
from workers.server.handlers import ApiHandler
from workers.server.models import EventAnswer
from workers.server.problems import HttpProblem
from workers.server.users import cloud_id_in_path


class EventHandler(ApiHandler):
    async def post(self, name: str) -> None:
        cloud_id = cloud_id_in_path(name)
        result = await self.bridge.adhoc.fetch_now((cloud_id,))
        if result.unknown:
            raise UnknownUser
        if result.parked:
            raise HttpProblem(
                409,
                "parked",
                f"{cloud_id} is parked; put it again with credentials that work, or "
                f"`eagle-logger users wake {cloud_id}`",
            )
        request = FetchRequest((cloud_id,))
        outcome = record_request(self.log, self.bridge.counters, "api", request, result)
        self.answer(EventAnswer(cloud_id=cloud_id, outcome=outcome), 202)
