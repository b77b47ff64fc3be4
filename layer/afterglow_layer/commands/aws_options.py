"""Which AWS a command talks to. In: a parser; then its options. Out: the variables that say the same to boto3."""

import argparse


def add_aws_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the AWS CLI that every command with AWS behind it has."""
    group = parser.add_argument_group("AWS")
    group.add_argument("--profile", help="AWS profile (default: AWS_PROFILE, as boto3 has it)")
    group.add_argument("--region", help="AWS region (default: AWS_REGION, or the profile's)")
    group.add_argument("--endpoint-url", metavar="URL", help="another endpoint for AWS, for local stacks")


def aws_environment(asked: argparse.Namespace) -> dict[str, str]:
    """Return the environment variables for what was asked, for clients that are made anew while a service runs."""
    said = {"AWS_PROFILE": asked.profile, "AWS_REGION": asked.region, "AWS_ENDPOINT_URL": asked.endpoint_url}
    return {name: value for name, value in said.items() if value}
