"""The ingest service: takes batches of records, makes them durable, adds them up, hands on what is finished."""
