"""What a run held the function to, and what it could not, in words. In: the plan and what was had. Out: sentences.

They stand in the run document (``run.limits``) and in the report.
"""

from afterglow_layer.local.allotment import PERIOD_US, cores_of
from afterglow_layer.local.plan import Plan
from afterglow_layer.local.sandbox import Kept


def limits_of(plan: Plan, kept: Kept, cpus: int, expired: int) -> list[str]:
    """Return one sentence per limit; ``cpus``: what this machine has; ``expired``: Inits that were ended."""
    return [_memory(plan, kept), _cpu(plan, kept, cpus), *kept.surroundings, *_init(plan, expired), *_provisioned(plan)]


def _memory(plan: Plan, kept: Kept) -> str:
    if not plan.limit_memory:
        return "memory: not limited"
    if kept.memory:
        return f"memory: {plan.memory_mb} MB for the function and its extensions, by {kept.memory}"
    per_process = f"each process of the function has {plan.memory_mb} MB for data (RLIMIT_DATA), then MemoryError"
    return f"memory: not limited as a whole ({kept.problems['memory']}); {per_process}"


def _cpu(plan: Plan, kept: Kept, cpus: int) -> str:
    cores = cores_of(plan.memory_mb)
    if not plan.limit_cpu:
        return "CPU: not limited (--cpu full)"
    if not kept.cpu:
        return f"CPU: not limited ({kept.problems['cpu']}); on Lambda it would be {_share(cores)}"
    if cores > cpus:
        return f"CPU: {cpus} cores, all that this machine has, of {cores:.1f}"
    return f"CPU: {_share(cores)} once Init is over, by {kept.cpu} in periods of {PERIOD_US // 1000} ms"


def _share(cores: float) -> str:
    return f"{cores:.1%} of a core" if cores < 1 else f"{cores:.2f} cores"


def _init(plan: Plan, expired: int) -> list[str]:
    limit_s = plan.init_limit_s
    if limit_s is None or plan.provisioned:
        return []
    ended = f"; {expired} took longer and had the runtime killed" if expired else ""
    return [f"Init: {limit_s:g} s at most{ended}"]


def _provisioned(plan: Plan) -> list[str]:
    if not plan.provisioned:
        return []
    if plan.rie is None:
        return ["provisioned concurrency: Init ran ahead of the first invocation"]
    instead = "RIE runs Init inside the first invocation, on its time; --emulator builtin runs it ahead"
    return [f"provisioned concurrency: told to the function, but not enforced: {instead}"]
