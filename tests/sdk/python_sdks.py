"""The SDKs that run in Python: sends the four texts of each case of the first line of standard input, all at once.

Goes on as a program would until standard input ends, then closes the SDKs. Each function gives what to call again and again, and
how to close.
"""

import json
import logging
import sys
import threading

logging.disable(logging.CRITICAL)


def segment(url, key, texts):
    from segment.analytics.client import Client

    client = Client(key, host=url, upload_size=3, upload_interval=0.3, gzip=True)
    like_segment(client, texts)
    return None, client.join


def rudder(url, key, texts):
    from rudderstack.analytics.client import Client

    client = Client(key, host=url, upload_size=3, upload_interval=0.3)
    like_segment(client, texts)
    return None, client.join


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
    return None, client.shutdown


def snowplow(url, key, texts):
    from snowplow_tracker import Emitter, PageView, SelfDescribing, SelfDescribingJson, StructuredEvent, Subject, Tracker

    protocol, host = url.split("://")
    emitter = Emitter(host, protocol=protocol, method="post", batch_size=1)
    subject = Subject().set_user_id(texts["user"])
    tracker = Tracker(namespace="py", emitters=emitter, subject=subject, app_id=key, encode_base64=True)
    tracker.track(SelfDescribing(SelfDescribingJson("iglu:org.example/identify/jsonschema/1-0-0", {"note": texts["trait"]})))
    tracker.track(PageView(page_url="https://shop.example/", page_title=texts["page"]))
    tracker.track(StructuredEvent(category="c", action="Ordinary", label=texts["track"]))
    tracker.track(SelfDescribing(SelfDescribingJson("iglu:org.example/long/jsonschema/1-0-0", {"text": texts["long"]})))
    # It keeps what failed until it is asked again.
    return tracker.flush, tracker.flush


SDKS = {
    "segment-analytics-python": segment,
    "rudder-sdk-python": rudder,
    "posthog (Python)": posthog,
    "snowplow-tracker (Python)": snowplow,
}


def main():
    wanted = json.loads(sys.stdin.readline())
    drive = SDKS[wanted["sdk"]]
    over = threading.Event()

    def one(case):
        try:
            again, close = drive(case["url"], case["key"], case["texts"])
            while not over.wait(0.3):
                if again:
                    again()
            close()
        except Exception as fault:  # told to the test, which knows what should have arrived
            print(f"{case['texts']['user']}: {fault!r:.300}", file=sys.stderr)

    threads = [threading.Thread(target=one, args=(case,)) for case in wanted["cases"]]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
