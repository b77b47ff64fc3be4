"""New Relic's agent, which knows Lambda and then writes to standard output."""

import newrelic.agent

newrelic.agent.initialize()
newrelic.agent.register_application(timeout=1)


@newrelic.agent.background_task(name="place")
def handler(event, context):
    newrelic.agent.add_custom_attribute("order", event["order"])
    return {"ok": True}
