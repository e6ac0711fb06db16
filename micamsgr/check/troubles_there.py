"""
What can be wrong at Meta, on the way from there, and at the LLM; see
:mod:`.troubles`.
"""

from __future__ import annotations

from .findings import failed, warning

_STATUS_PAGE = "https://metastatus.com"
_DASHBOARD = "developers.facebook.com"
_NEW_TOKEN = (
    f"generate a new token at {_DASHBOARD}, Messenger, put it into"
    " facebook.page_access_token, and reload the daemon"
)
_NOT_TOLD = "Meta delivers nothing here, and nobody is answered"
_NOT_SENT = "nothing can be sent: messages are kept, and wait"
_LOOK = "nobody can tell whether it is right"
_AGAIN = "see what the lines on token, app and graph say, and check again"
_WEBHOOKS = f"at {_DASHBOARD}, Messenger, Webhooks"


THERE = (
    failed(
        "graph.unreachable",
        "the Graph API gives no answer",
        _NOT_SENT,
        "see to this machine's network, DNS and firewall, and to facebook.graph_url;"
        f" whether Meta is down: {_STATUS_PAGE}",
    ),
    failed(
        "graph.failing",
        "half of the calls or more fail, or what answers is not the Graph API",
        "answers are late, or can't be sent",
        f"look at Meta's status page, {_STATUS_PAGE}, and at facebook.graph_url;"
        " what is kept is sent later",
    ),
    warning(
        "graph.flaky",
        "some calls fail",
        "some answers are late",
        f"see to this machine's network; whether Meta is slow: {_STATUS_PAGE}",
    ),
    warning(
        "graph.slow",
        "a call takes more than 1.5 s",
        "answers are late",
        f"see to this machine's network; whether Meta is slow: {_STATUS_PAGE}",
    ),
    failed(
        "clock.wrong",
        "the clock is off by more than 60 s",
        "certificates, tokens and the age of messages are misjudged",
        "set it right, and keep it so: `timedatectl set-ntp true`",
    ),
    warning(
        "clock.off",
        "the clock is off by more than 5 s",
        "the daemon goes by Meta's clock instead; times in the log are wrong",
        "set it right, and keep it so: `timedatectl set-ntp true`",
    ),
    warning(
        "clock.unknown",
        "the Graph API does not tell the time",
        _LOOK,
        "see what the line on graph says; `timedatectl` shows whether it is kept right",
    ),
    failed(
        "token.expired",
        "the token has expired",
        _NOT_SENT,
        f"{_NEW_TOKEN}; one made from a long-lived user token does not expire",
    ),
    failed(
        "token.invalid",
        "the Graph API refuses the token",
        _NOT_SENT,
        f"{_NEW_TOKEN}; a changed password or a lost role on the Page ends a token",
    ),
    failed(
        "token.kind",
        "the token is not a Page's, but a user's or an app's",
        "nothing can be sent as the Page",
        _NEW_TOKEN,
    ),
    warning(
        "token.expiring",
        "the token expires within 7 days",
        "then nothing can be sent",
        f"{_NEW_TOKEN}; one made from a long-lived user token does not expire",
    ),
    warning(
        "token.data_access",
        "its access to data has expired, or does within 7 days",
        "Meta does not say what then becomes of messages; names can't be read",
        "log in to the app with the account that made the token, and allow it again",
    ),
    warning("token.unknown", "it can't be looked at", _LOOK, _AGAIN),
    failed(
        "app.other",
        "the token is another app's than facebook.app_id",
        "the proof and the signatures don't fit, and nothing is sent or taken",
        "take app_id, secret and token from one and the same app",
    ),
    failed(
        "app.secret",
        "facebook.secret is not the app's secret",
        "deliveries are refused for their signature, and calls for their proof",
        f"copy the app secret from {_DASHBOARD}, App settings, Basic",
    ),
    warning(
        "app.unnamed",
        "facebook.app_id is not given, and the Graph API does not say whose the"
        " token is",
        _LOOK,
        f"put the app's ID into facebook.app_id; {_DASHBOARD} shows it",
    ),
    warning("app.unknown", "it can't be looked at", _LOOK, _AGAIN),
    failed(
        "page.other",
        "the token is another Page's than facebook.page_id",
        "people on the Page are not answered",
        "generate the token for that Page, or correct facebook.page_id",
    ),
    warning(
        "page.unknown", "the Graph API does not say whose token it is", _LOOK, _AGAIN
    ),
    failed(
        "scopes.missing",
        "pages_messaging or pages_manage_metadata is missing",
        "without the first nothing can be sent, without the second the Page can't be"
        " subscribed again",
        "generate the token anew and allow both; the public needs Advanced Access",
    ),
    failed(
        "scopes.elsewhere",
        "a permission is granted for other Pages only",
        "for this Page it is as if it were missing",
        "generate the token anew, and choose this Page",
    ),
    warning(
        "scopes.partial",
        "pages_read_engagement is missing",
        "what was written in an outage, or sent in doubt, can't be looked up",
        "generate the token anew, and allow it",
    ),
    warning("scopes.unknown", "it can't be looked at", _LOOK, _AGAIN),
    failed(
        "appsecret_proof.refused",
        "the Graph API refuses the proof made with facebook.secret",
        "nothing can be sent",
        f"copy the app secret from {_DASHBOARD}, App settings, Basic",
    ),
    warning("appsecret_proof.unknown", "the calls have no answer", _LOOK, _AGAIN),
    failed(
        "app_subscription.none",
        "the app has no webhook for Pages",
        _NOT_TOLD,
        f"set the callback URL and the verification token {_WEBHOOKS}",
    ),
    failed(
        "app_subscription.inactive",
        "the app's webhook is not active",
        _NOT_TOLD,
        f"save the callback URL again {_WEBHOOKS}",
    ),
    failed(
        "app_subscription.elsewhere",
        "Meta delivers to another URL than the bot's below public_url",
        _NOT_TOLD,
        f"correct the callback URL {_WEBHOOKS}, or public_url",
    ),
    failed(
        "app_subscription.fields",
        "the app is not subscribed to messages or messaging_postbacks",
        "without messages nobody is answered, without messaging_postbacks taps on"
        " buttons are lost",
        f"check both {_WEBHOOKS}",
    ),
    warning(
        "app_subscription.degraded",
        "the app is not subscribed to message_echoes",
        "humans in the inbox are not noticed, and what is in doubt is settled late",
        f"check message_echoes {_WEBHOOKS}",
    ),
    warning("app_subscription.unknown", "it can't be looked at", _LOOK, _AGAIN),
    failed(
        "page_subscription.none",
        "the Page is not subscribed to the app",
        _NOT_TOLD,
        f"add the Page {_WEBHOOKS}; a daemon that runs does so itself, within an hour",
    ),
    failed(
        "page_subscription.fields",
        "the Page is not subscribed to messages or messaging_postbacks",
        "without messages nobody is answered, without messaging_postbacks taps on"
        " buttons are lost",
        f"check both for the Page {_WEBHOOKS}; a daemon that runs does so itself",
    ),
    warning(
        "page_subscription.degraded",
        "the Page is not subscribed to message_echoes",
        "humans in the inbox are not noticed, and what is in doubt is settled late",
        f"check message_echoes for the Page {_WEBHOOKS}",
    ),
    warning(
        "page_subscription.unnamed",
        "several apps are subscribed, and which one is ours is not known",
        _LOOK,
        f"put the app's ID into facebook.app_id; {_DASHBOARD} shows it",
    ),
    warning(
        "page_subscription.unknown",
        "it can't be looked at",
        _LOOK,
        "see what the lines on token, app, scopes and graph say, and check again; or"
        f" look {_WEBHOOKS}",
    ),
    warning(
        "routing.others",
        "other apps are subscribed to the Page too",
        "they may answer as well, or take a conversation from the bot",
        "take away those that should not answer: the Page's settings, Business"
        " Integrations and Conversation routing",
    ),
    warning(
        "routing.unheard",
        "several apps share conversations, and messaging_handovers is not subscribed",
        "the bot does not learn that it has or has lost a conversation",
        f"check messaging_handovers and standby {_WEBHOOKS}, for the app and the Page",
    ),
    warning(
        "routing.unknown", "the Graph API does not say how it routes", _LOOK, _AGAIN
    ),
    warning(
        "mode.unknown",
        "the Graph API does not tell an app's mode, and few people have written yet",
        "an app in development mode is told only of people with a role on it",
        f"see that the app is Live at {_DASHBOARD}, and that pages_messaging has"
        " Advanced Access; or let somebody without a role write",
    ),
    warning(
        "webhook.unknown",
        "public_url is not given",
        "nobody can tell whether Meta reaches the webhook",
        "put into public_url what Meta is to call, such as https://bot.example.org",
    ),
    failed(
        "webhook.plain",
        "public_url is not an https URL",
        "Meta calls nothing but https",
        "give tls, or put a web server before the daemon, and correct public_url",
    ),
    failed(
        "webhook.unreachable",
        "nobody answers at the public URL",
        _NOT_TOLD,
        "start the daemon if it does not run; see to DNS, firewall and the server"
        " before it; some networks can't reach their own public URL: then ask from"
        " elsewhere",
    ),
    failed(
        "webhook.untrusted",
        "its TLS is not to be trusted: the chain, the name or the date",
        "Meta refuses to connect, and nobody is answered",
        "have a certificate issued for that name by a public authority, and serve its"
        " whole chain",
    ),
    failed(
        "webhook_verification.refused",
        "the verification is answered 403",
        "Meta does not accept the callback URL",
        "reload the daemon, so that it has the configured facebook.verify_token, and"
        " give Meta the same one",
    ),
    failed(
        "webhook_verification.wrong",
        "the verification is answered with something else than the challenge",
        "Meta does not accept the callback URL",
        "see that the URL leads to this daemon, unchanged by the server before it",
    ),
    failed(
        "webhook_signed.refused",
        "a delivery signed with facebook.secret is answered 403",
        "what Meta delivers is refused, and nobody is answered",
        "reload the daemon; see that the server before it leaves bodies as they are",
    ),
    failed(
        "webhook_signed.wrong",
        "a signed delivery is answered with something else than 200, or not in 5 s",
        "Meta counts it as failed, and unsubscribes the Page after an hour of it",
        "look at the daemon's log; see that the URL leads to it and to nothing else",
    ),
    warning(
        "webhook_signed.slow",
        "a signed delivery is answered after more than 2 s",
        "Meta waits for 5 s at most",
        "see to the disk, the network and the server before the daemon",
    ),
    failed(
        "webhook_unsigned.accepted",
        "a delivery that nobody signed is answered 200",
        "anybody could speak for Meta, or it is not the daemon that answers",
        "see that the URL leads to this daemon and to nothing else",
    ),
    warning(
        "webhook_unsigned.wrong",
        "a delivery that nobody signed is answered with something else than 403",
        "it may not be the daemon that answers",
        "see that the URL leads to this daemon, unchanged by the server before it",
    ),
    warning(
        "webhook_verification.unasked",
        "the webhook could not be reached",
        _LOOK,
        "do what the line on webhook says, and check again",
    ),
    warning(
        "webhook_signed.unasked",
        "the webhook could not be reached",
        _LOOK,
        "do what the line on webhook says, and check again",
    ),
    warning(
        "webhook_unsigned.unasked",
        "the webhook could not be reached",
        _LOOK,
        "do what the line on webhook says, and check again",
    ),
    failed(
        "llm.refused",
        "the LLM's server answers, but gives no answer to a question",
        "nobody is answered, unless a fallback does it",
        "check the key, the model and the account that llm_config names",
    ),
    failed(
        "llm.unreachable",
        "the LLM's server gives no answer",
        "nobody is answered, unless a fallback does it",
        "see to this machine's network, and to llm_config.server",
    ),
    warning(
        "llm.slow",
        "the LLM answers after more than 10 s",
        "people wait, and may read the apology first",
        "take a faster model, or a nearer server",
    ),
    warning(
        "llm.fallback",
        "a fallback does not answer",
        "it can't step in when the LLM fails",
        "check its key, model, account and server, or take it away",
    ),
)
