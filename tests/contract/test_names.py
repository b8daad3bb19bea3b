"""Accounts with several names, on a real shelf and on a MongoDB."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, NameTaken, Refused
from jac_converge.app_runtime.auth.names import Name, email, sso, typed, username
from jac_converge.app_runtime.auth.sessions import Session, Sessions
from jac_converge.app_runtime.stores import Document, DocumentStore, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.accounts_of import accounts_of
from tests.contract.mongo_points import opened
from tests.servers.mongo_server import MongoServer

PASSWORD = "correct horse"
ANN = (username("ann"), email("ann@example.org"), sso("google", "1076"))


@pytest.fixture(params=["shelf", "mongodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    """Give an empty store."""
    if request.param == "shelf":
        shelf = Shelf(tmp_path / "shelf.db")
        yield shelf
        shelf.close()
        return
    server: MongoServer = request.getfixturevalue("mongo_server")
    with opened(server.url) as mongo:
        yield mongo


@pytest.fixture
def accounts(store: DocumentStore) -> Accounts:
    """Give the accounts of the store."""
    return accounts_of(store)


def test_every_name_leads_to_the_account(accounts: Accounts) -> None:
    """To log in by those that have a password, and for an SSO provider."""
    made = accounts.create(ANN, password=PASSWORD)
    assert [made] * 3 == [accounts.by_name(name) for name in ANN]
    assert [made] * 2 == [accounts.login(name, PASSWORD) for name in ("ANN", "Ann@Example.ORG")]
    assert accounts.login("google:1076", PASSWORD) is None
    assert accounts.by_name(sso("google", "10760")) is None
    assert accounts.by_name(sso("github", "1076")) is None


@pytest.mark.parametrize("taken", ANN, ids=lambda name: name.type)
def test_registration_claims_all_names_or_none(
    accounts: Accounts, store: DocumentStore, taken: Name
) -> None:
    """Which of them is taken is told, and nothing else is left."""
    owner = accounts.create((taken,), password=PASSWORD)
    before = store.scan("", 100)
    with pytest.raises(NameTaken) as error:
        accounts.create(ANN, password=PASSWORD)
    assert taken == error.value.name
    assert before == store.scan("", 100)
    assert owner == accounts.by_name(taken)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda name: (username(f"user-{name}"), email("Same@example.org")), id="mail"),
        pytest.param(lambda name: (sso("google", "same"), username(f"user-{name}")), id="sso"),
        pytest.param(lambda name: (username("SAME"), email(f"{name}@example.org")), id="name"),
    ],
)
def test_of_many_registrations_at_once_one_wins(
    accounts: Accounts, store: DocumentStore, make: Callable[[int], tuple[Name, ...]]
) -> None:
    """Whatever else they claim."""
    barrier = Barrier(6)

    def register(number: int) -> Account | None:
        barrier.wait()
        try:
            return accounts.create(make(number), password=PASSWORD)
        except NameTaken:
            return None

    with ThreadPoolExecutor(6) as pool:
        made = [account for account in pool.map(register, range(6)) if account is not None]
    assert 1 == len(made)
    assert made == [accounts.by_name(name) for name in made[0].names][:1]
    assert 1 == len(store.find("account"))
    assert 2 == len(store.find("name"))


def test_of_many_links_at_once_one_wins(accounts: Accounts) -> None:
    """A subject belongs to one account, and the others stay as they were."""
    made = [accounts.register(f"user-{number}", PASSWORD) for number in range(5)]
    subject, barrier = sso("google", "1076"), Barrier(5)

    def link(account: Account) -> bool:
        barrier.wait()
        try:
            return accounts.link(account, subject).has(subject) is not None
        except NameTaken:
            return False

    with ThreadPoolExecutor(5) as pool:
        won = list(pool.map(link, made))
    assert 1 == sum(won)
    found = accounts.by_name(subject)
    assert found is not None
    assert made[won.index(True)].id == found.id
    assert [not one for one in won] == [accounts.by_name(one.names[0]) == one for one in made]


def test_name_that_is_taken_away_is_free(accounts: Accounts) -> None:
    """And the account goes on by those it has left."""
    made = accounts.create(ANN, password=PASSWORD)
    fewer = accounts.unlink(made, ANN[1])
    assert (ANN[0], ANN[2]) == fewer.names
    assert accounts.login("ann@example.org", PASSWORD) is None
    assert fewer == accounts.login("ann", PASSWORD)
    other = accounts.register("ann@example.org", PASSWORD)
    assert other == accounts.by_name(ANN[1])


def test_account_keeps_a_way_to_log_in(accounts: Accounts) -> None:
    """A name with a password, or an SSO provider."""
    by_password = accounts.register("ann", PASSWORD)
    with pytest.raises(Refused, match="to log in by"):
        accounts.unlink(by_password, ANN[0])
    by_sso = accounts.create((sso("google", "1"), email("b@example.org", verified=True)))
    assert not by_sso.has_password
    assert accounts.login("b@example.org", "") is None
    with pytest.raises(Refused, match="to log in by"):
        accounts.unlink(by_sso, sso("google", "1"))
    assert by_sso == accounts.by_name(email("b@example.org"))


def test_address_is_known_as_verified_once_somebody_vouched_for_it(accounts: Accounts) -> None:
    """What a client says of itself proves nothing."""
    made = accounts.create(ANN[:2], password=PASSWORD)
    claimed = made.has(ANN[1])
    assert claimed is not None
    assert not claimed.verified
    proven = accounts.link(made, email("ann@example.org", verified=True))
    assert 2 == len(proven.names)
    assert proven == accounts.by_name(ANN[1])
    known = proven.has(ANN[1])
    assert known is not None
    assert known.verified


def test_change_of_what_was_changed_meanwhile_is_refused(accounts: Accounts) -> None:
    """Two tabs: the second one's picture of the account is of before."""
    made = accounts.create(ANN, password=PASSWORD)
    accounts.unlink(made, ANN[2])
    with pytest.raises(Refused, match="changed meanwhile"):
        accounts.unlink(made, ANN[0])
    with pytest.raises(Refused, match="no such name"):
        accounts.unlink(made, sso("google", "another"))


def test_account_of_before_there_were_several_names_goes_on(
    accounts: Accounts, store: DocumentStore
) -> None:
    """Its document has one name, and is written anew by the first change."""
    made = accounts.register("old", PASSWORD)
    stored = store.get([made.id])[made.id]
    body = {key: value for key, value in stored.body.items() if key != "names"} | {"name": "old"}
    store.commit(WriteBatch(updates=(stored._replace(body=body),)))
    assert made == accounts.login("old", PASSWORD)
    assert "new" == accounts.rename(made, "new").name
    assert accounts.login("old", PASSWORD) is None
    assert accounts.login("new", PASSWORD) is not None


def test_registration_and_its_session_are_one_commit(store: DocumentStore) -> None:
    """So nobody is told that nothing was stored of an account that is there."""
    commits = []

    class Counted:
        """A store that takes note of commits."""

        def commit(self, batch: WriteBatch) -> None:
            commits.append(batch)
            store.commit(batch)

        def get(self, ids: Collection[str]) -> dict[str, Document]:
            return store.get(ids)

    counted: DocumentStore = Counted()  # type: ignore[assignment] # all that is asked of it
    accounts = accounts_of(counted)
    sessions = Sessions(counted, accounts, idle=60, longest=60, access=60, grace=60)
    begun: list[Session] = []

    def beside(account: Account, *, first: bool) -> WriteBatch:
        session, batch = sessions.first(account) if first else sessions.alone(account)
        begun.append(session)
        return batch

    made = accounts.create(ANN, password=PASSWORD, beside=lambda it: beside(it, first=True))
    assert 1 == len(commits)
    assert begun[0].account == made
    renewed = sessions.refresh(begun[0].refresh)
    commits.clear()
    accounts.prove(made, PASSWORD)
    changed = accounts.set_password(
        made, "another horse", beside=lambda it: beside(it, first=False)
    )
    assert 1 == len(commits)
    assert accounts.check(made.claims(renewed.id)) is None
    assert changed == sessions.refresh(begun[1].refresh).account


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (username("Räce"), username("\uff52äce")),
        (username("\u03aa\u0301"), username("\u0390")),
        (username("\u1fd3"), username("\u0390")),
        (email("Ann@Example.ORG"), username(" ann@example.org ")),
        (email("a+b@xn--strae-oqa.example"), typed("email", "A+B@XN--STRAE-OQA.example")),
    ],
)
def test_names_that_are_the_same(one: Name, other: Name) -> None:
    """In every way to write them."""
    assert one.key == other.key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (sso("google", "Abc"), sso("google", "abc")),
        (sso("google", "1"), username("google:1")),
        (email("a.b@example.org"), email("ab@example.org")),
        (username("\u0130nci"), username("inci")),
        (username("@ann"), username("ann")),
    ],
)
def test_names_that_are_not_the_same(one: Name, other: Name) -> None:
    """To mix up two mailboxes would hand one account to the owner of the other."""
    assert one.key != other.key


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "ann",
        "ann@",
        "@example.org",
        "a b@example.org",
        "ann@exa\u1e9ample.org",
        "a@-x.org",
        "a..b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a@x..org",
        f"{'a' * 65}@example.org",
        f"a@{'x' * 300}.org",
        "ann@example.org\n.attacker.example",
    ],
)
def test_what_is_no_address_is_refused(wrong: str) -> None:
    """So no mail goes to where nobody meant."""
    with pytest.raises(Refused):
        email(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("stra\u00dfe@example.org", id="like-another-domain"),
        pytest.param("\u212aim@example.org", id="a-sign-for-a-letter"),
        pytest.param("\uff41nn@example.org", id="wide-letters"),
        pytest.param("ann\uff20example.org", id="a-wide-at"),
        pytest.param("\u0430nn@example.org", id="cyrillic"),
        pytest.param("ann\u200b", id="no-width"),
        pytest.param("ann\u034f", id="joiner"),
        pytest.param("ann\u3164", id="filler"),
        pytest.param("\u2800", id="blank"),
        pytest.param("ann\ufe0f", id="variant"),
        pytest.param("ann\U000e0061", id="tag"),
        pytest.param("\u202enna", id="the-other-way"),
        pytest.param("an\x85n", id="control"),
        pytest.param("\ud800", id="half-a-character"),
    ],
)
def test_name_that_looks_like_another_one_is_refused(wrong: str) -> None:
    """Like the address of somebody else, or like the name of somebody and nothing behind it."""
    with pytest.raises(Refused):
        username(wrong)


def test_name_without_end_is_not_looked_at(accounts: Accounts) -> None:
    """To sort the accents of this one would take minutes, in which no other thread runs."""
    name = f"a{chr(0x301) * 300_000}{chr(0x327) * 300_000}"
    for make in (username, email):
        with pytest.raises(Refused):
            make(name)
    assert accounts.login(name, PASSWORD) is None


@pytest.mark.parametrize(
    ("provider", "subject"), [("", "1"), ("A", "1"), ("a:b", "1"), ("a", ""), ("a", "x" * 256)]
)
def test_what_is_no_subject_is_refused(provider: str, subject: str) -> None:
    """The key of one provider's subject is no other's."""
    with pytest.raises(Refused):
        sso(provider, subject)
