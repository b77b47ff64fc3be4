"""What CloudWatch accepts, as numbers with their sources. The encoder keeps to them, the checker checks them.

[EMF]: the specification page of the CloudWatch user guide and the JSON schema in it; [PMD] the API
reference of PutMetricData, MetricDatum and Dimension, whose rules hold for what comes out of EMF.
"""

MAX_METRICS = 100  # per directive [EMF]
MAX_DIMENSIONS = 30  # per dimension set [EMF]
MAX_DIMENSION_NAME = 250  # characters [EMF schema]; ASCII, no leading colon [PMD]
MAX_DIMENSION_VALUE = 1024  # characters [EMF]; ASCII without control characters, not blank [PMD]
MAX_METRIC_NAME = 255  # characters [PMD]; the EMF schema lets 1024 pass
MAX_NAMESPACE = 255  # characters [PMD]; the EMF schema lets 1024 pass
MAX_VALUES = 100  # members of a numeric array [EMF], and of Values and Counts (awsemfexporter's own limit)
MAX_ABSOLUTE = 2.0**360  # of any value [PMD]
STORAGE_RESOLUTIONS = (1, 60)  # seconds [EMF]
MAX_AGE_MS = 14 * 86_400_000  # two weeks back [PMD; PutLogEvents says the same]
MAX_AHEAD_MS = 2 * 3_600_000  # two hours ahead [PMD; PutLogEvents says the same]
MAX_EVENT_BYTES = 1_048_576  # [EMF], once 256 KB
EVENT_BYTES_TARGET = 256_000  # what we keep to: below 256 KB however it is counted, for older readers of logs
