"""Writes an item with a client that lives as long as the environment."""

import boto3

table = "orders"
dynamodb = boto3.client("dynamodb", region_name="eu-west-1")


def handler(event, context):
    if table not in dynamodb.list_tables()["TableNames"]:
        dynamodb.create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    dynamodb.put_item(TableName=table, Item={"id": {"S": event["order"]}})
    return {"found": dynamodb.get_item(TableName=table, Key={"id": {"S": event["order"]}})["Item"]}
