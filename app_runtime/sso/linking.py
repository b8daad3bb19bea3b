"""Whose account it is that somebody at a provider may enter.

The subject at the provider decides. An e-mail address leads into an account only if the provider
and we have verified it, both: who registers the address of somebody else, unverified, gets nothing
by it, neither when its owner comes nor before. It changes with who may enter which account.
"""

from jac_converge.app_runtime.auth import names
from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, NameTaken
from jac_converge.app_runtime.auth.names import Name
from jac_converge.app_runtime.auth.sessions import Session, Sessions
from jac_converge.app_runtime.sso.errors import Refused
from jac_converge.app_runtime.sso.person import Person
from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.config.sso import SsoSettings

__all__ = ["Entrance"]

TRIES = 3  # against others who register the same names at the same time


class Entrance:
    """Finds, links and makes accounts. Every method may wait; call it from a thread."""

    def __init__(self, store: DocumentStore, accounts: Accounts, sessions: Sessions) -> None:
        self._store = store
        self._accounts = accounts
        self._sessions = sessions

    def enter(self, person: Person, settings: SsoSettings, *, register: bool) -> tuple[str, str]:
        """Return the account of somebody, made where that is allowed.

        Args:
            person: who has logged in at a provider.
            settings: of the provider.
            register: they want an account if they have none.

        Returns:
            Its id, and what happened: login, link or register.

        Raises:
            Refused: they have none, and get none.
        """
        subject, email = _names(person, settings)
        wanted = settings.registration == "always" or (
            register and settings.registration == "asked"
        )
        for _ in range(TRIES):
            known = self._accounts.by_name(subject)
            if known is not None:
                return known.id, "login"
            same = self._accounts.by_name(email) if email is not None else None
            if email is not None and same is not None and _has_verified(same, email):
                try:
                    return self._accounts.link(same, subject).id, "link"
                except names.Refused:
                    continue  # it changed meanwhile, or somebody was faster: look again
            if not wanted:
                text = f"no account here belongs to this login at {person.provider}"
                raise Refused(text, code="ACCOUNT_UNKNOWN", status=403)
            # An address that is there, and not verified, stays where it is: whose it is, we
            # cannot know, and this account needs none.
            own = (subject,) if email is None or same is not None else (subject, email)
            try:
                return self._accounts.create(own).id, "register"
            except NameTaken:
                continue
        raise Refused("others registered the same; try again", code="WRITE_CONFLICT", status=409)

    def link(self, person: Person, settings: SsoSettings, account: Account) -> None:
        """Let somebody into their account by a provider from now on.

        Args:
            person: who has logged in at the provider.
            settings: of the provider.
            account: whose token was sent when that began, and is valid still.

        Raises:
            Refused: another account has this login, or this one has too many.
        """
        subject, email = _names(person, settings)
        own = account.has(email) if email is not None else None
        if own is not None and email is not None and not own.verified:
            account = self._accounts.link(account, email)  # now the provider has verified it
        try:
            self._accounts.link(account, subject)
        except NameTaken as error:
            text = f"another account has this login at {person.provider}"
            raise Refused(text, code="IDENTITY_TAKEN", status=409) from error
        except names.Refused as error:
            raise Refused(str(error), code="UPDATE_FAILED") from error

    def open(self, id_: str) -> Session | None:
        """Begin a session of an account; None: it is gone."""
        account = self._accounts.current(self._store.get([id_]).get(id_))
        return self._sessions.open(account) if account is not None else None


def _has_verified(account: Account, email: Name) -> bool:
    own = account.has(email)
    return own is not None and own.verified


def _names(person: Person, settings: SsoSettings) -> tuple[Name, Name | None]:
    try:
        subject = names.sso(person.provider, person.subject)
    except names.Refused as error:
        raise Refused(str(error), code="SSO_TOKEN_INVALID", status=401) from error
    if person.email is None or not settings.link_by_email:
        return subject, None
    try:
        return subject, names.email(person.email, verified=True)
    except names.Refused:
        return subject, None  # an address that we cannot keep is as good as none
