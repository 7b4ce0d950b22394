"""The SDKs that run in Python: sends the four texts of each case that stands as JSON on standard input, all at once, and ends."""

import json
import logging
import sys
import threading

logging.disable(logging.CRITICAL)


def segment(url, key, texts):
    from segment.analytics.client import Client

    client = Client(key, host=url, upload_size=3, upload_interval=0.3, gzip=True)
    like_segment(client, texts)
    return client.join


def rudder(url, key, texts):
    from rudderstack.analytics.client import Client

    client = Client(key, host=url, upload_size=3, upload_interval=0.3)
    like_segment(client, texts)
    return client.join


def like_segment(client, texts):
    user = texts["user"]
    client.identify(user_id=user, traits={"note": texts["trait"]})
    client.page(user_id=user, name=texts["page"])
    client.track(user_id=user, event="Ordinary", properties={"text": texts["track"]})
    client.track(user_id=user, event="Long", properties={"text": texts["long"]})
    client.flush()


def posthog(url, key, texts):
    from posthog import Posthog

    client = Posthog(key, host=url, flush_at=3, flush_interval=0.3, gzip=True)
    user = texts["user"]
    client.set(distinct_id=user, properties={"note": texts["trait"]})
    client.capture("$pageview", distinct_id=user, properties={"title": texts["page"]})
    client.capture("Ordinary", distinct_id=user, properties={"text": texts["track"]})
    client.capture("Long", distinct_id=user, properties={"text": texts["long"]})
    client.flush()
    return client.shutdown


def snowplow(url, key, texts):
    from snowplow_tracker import Emitter, PageView, SelfDescribing, SelfDescribingJson, StructuredEvent, Subject, Tracker

    host = url.removeprefix("http://")
    emitter = Emitter(host, protocol="http", method="post", batch_size=1)
    subject = Subject().set_user_id(texts["user"])
    tracker = Tracker(namespace="py", emitters=emitter, subject=subject, app_id=key, encode_base64=True)
    tracker.track(SelfDescribing(SelfDescribingJson("iglu:org.example/identify/jsonschema/1-0-0", {"note": texts["trait"]})))
    tracker.track(PageView(page_url="https://shop.example/", page_title=texts["page"]))
    tracker.track(StructuredEvent(category="c", action="Ordinary", label=texts["track"]))
    tracker.track(SelfDescribing(SelfDescribingJson("iglu:org.example/long/jsonschema/1-0-0", {"text": texts["long"]})))
    return lambda: tracker.flush(is_async=False)


SDKS = {
    "segment-analytics-python": segment,
    "rudder-sdk-python": rudder,
    "posthog (Python)": posthog,
    "snowplow-tracker (Python)": snowplow,
}


def main():
    wanted = json.load(sys.stdin)
    drive = SDKS[wanted["sdk"]]
    faults = []

    def one(case):
        try:
            drive(case["url"], case["key"], case["texts"])()
        except Exception as fault:  # told to the test, which knows what should have arrived
            faults.append(f"{case['texts']['user']}: {fault!r}")

    threads = [threading.Thread(target=one, args=(case,)) for case in wanted["cases"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("\n".join(faults), file=sys.stderr)


if __name__ == "__main__":
    main()
