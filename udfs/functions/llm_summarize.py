"""``LLM_SUMMARIZE``: one summary of all texts of a group."""

from __future__ import annotations

from functools import partial

from ...engine.types import VARCHAR
from ..group_task import GroupTask
from ..models.base import Capabilities, Reply
from ..prompts.folding import Fold, Step
from ..prompts.inputs import input_names
from ..prompts.typed_answer import parse_reply
from ..spec import DYNAMIC, Arguments, Parameter, SemanticFunction

_MAX_TOKENS = 512
_FIRST = "Summarize the inputs together in a few sentences. Keep names, figures and what most of them say."
_MERGE = "The inputs are summaries of parts of one collection. Merge them into one summary of a few sentences."
_FORM = "Answer with the summary only, without introduction or comment."


def _step(task: str, instruction: str) -> Step:
    wish = (f"Instruction: {instruction}",) if instruction else ()
    return Step("\n".join((task, *wish, _FORM)), partial(_question, bool(instruction)))


def _question(instructed: bool, count: int) -> str:
    # Without it the small default model gives back the inputs as they are; right below them it does little.
    what = f"What do these {count} inputs say, taken together?" if count > 1 else "What does this input say?"
    return f"{what} {'Follow the instruction.' if instructed else 'Answer in one or two sentences.'}"


def _summary(reply: Reply) -> str:
    return str(parse_reply(reply, VARCHAR))


def _lower(arguments: Arguments, _: Capabilities) -> GroupTask:
    options = arguments.options
    if arguments.constants[0] is not DYNAMIC:
        raise ValueError("LLM_SUMMARIZE needs the texts of a group, such as a column, not one literal.")
    instruction = arguments.constants[1] if len(arguments.constants) > 1 else ""
    if not isinstance(instruction, str):
        raise ValueError("The instruction of LLM_SUMMARIZE must be a text literal.")
    first, merge = _step(_FIRST, instruction.strip()), _step(_MERGE, instruction.strip())
    fold = Fold(
        name=input_names(arguments.texts[:1])[0],
        notes="summary",
        whole=first,
        part=first,
        merge=merge,
        last=merge,
        read=_summary,
        read_notes=_summary,
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens") or _MAX_TOKENS,
    )
    return GroupTask(fold)


FUNCTION = SemanticFunction(
    sql_name="LLM_SUMMARIZE",
    aliases=("AI_SUMMARIZE_AGG", "SEM_SUMMARIZE"),
    kind="aggregate",
    parameters=(Parameter("input"), Parameter("instruction", "constant", optional=True)),
    returns=lambda *_: VARCHAR,
    lower=_lower,
    summary="One summary of all texts of a group, however many; NULL for an empty group.",
    example="""
SELECT product, LLM_SUMMARIZE(review) AS opinion
FROM (VALUES ('kettle', 'Boils fast, but the lid sticks.'), ('kettle', 'The lid broke in a week.'),
             ('lamp', 'Warm light, solid foot.')) AS reviews(product, review)
GROUP BY product
""".strip(),
)
