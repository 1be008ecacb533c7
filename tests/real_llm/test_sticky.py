"""A user stays where they are, and a ramp moves only those whom it must."""

import pytest
from conversation import ask
from llama_server import openai_client

USERS = [f"user-{number}" for number in range(60)]


def split(url: str) -> dict[str, str]:
    """The environment of each user, named by header."""
    client = openai_client(url)
    answers = {user: ask(client, user, tokens=2) for user in USERS}
    for answer in answers.values():
        assert answer.text.startswith(answer.environment), "the header names who answered"
    return {user: answer.environment for user, answer in answers.items()}


def test_the_same_user_meets_the_same_environment(proxy):
    cyan = proxy(blue=50, green=50)
    first = split(cyan.url)
    assert set(first.values()) == {"blue", "green"}
    assert split(cyan.url) == first


def test_the_user_field_of_the_body_is_a_key_as_well(proxy):
    client = openai_client(proxy(blue=50, green=50).url)

    def environment(user: str) -> str:
        answer = client.chat.completions.with_raw_response.create(
            model="any", messages=[{"role": "user", "content": "Hi."}], max_tokens=2, user=user
        )
        return answer.headers["x-deployment"]

    first = {user: environment(user) for user in USERS}
    assert set(first.values()) == {"blue", "green"}
    assert {user: environment(user) for user in USERS} == first


def test_a_ramp_moves_users_only_towards_green_and_a_rollback_returns_exactly_those(proxy):
    cyan = proxy(blue=100, green=0, candidate="green")
    green_before: set[str] = set()
    for share in (10, 40, 70):
        cyan.set_weights(blue=100 - share, green=share)
        green = {user for user, name in split(cyan.url).items() if name == "green"}
        assert green_before <= green, f"somebody went back to blue at {share} %"
        green_before = green
    assert green_before
    cyan.rollback()
    assert set(split(cyan.url).values()) == {"blue"}


@pytest.mark.parametrize("weights", [{"blue": 34, "green": 33, "bad": 33}])
def test_three_environments_share_users(proxy, weights):
    assert set(split(proxy(**weights).url).values()) == set(weights)
