"""The same calls by Python's mellea: pip install mellea, then: python python_mellea.py <path of mellea-peers>."""

import asyncio
import logging
import statistics
import subprocess
import sys
import time

logging.disable(logging.CRITICAL)

from mellea import MelleaSession
from mellea.backends.openai import OpenAIBackend
from mellea.stdlib.context import SimpleContext


def main() -> None:
    server = subprocess.Popen([sys.argv[1], "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    backend = OpenAIBackend(model_id="m", base_url=f"{url}/v1", api_key="k")
    session = MelleaSession(backend, SimpleContext())
    times = []
    for number in range(330):
        start = time.perf_counter()
        session.chat("Say hello.")
        if number >= 30:
            times.append(time.perf_counter() - start)
    print(f"one call: {statistics.median(times) * 1e6:.0f} microseconds")

    async def lanes() -> float:
        async def lane() -> None:
            for _ in range(4):
                await session.achat("Say hello.")

        start = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(256)))
        return 256 * 4 / (time.perf_counter() - start)

    async def rates() -> list[float]:
        return [await lanes() for _ in range(4)]

    print(f"256 at once: {statistics.median(asyncio.run(rates())[1:]):.0f} calls/s")
    server.kill()


main()
