"""The shapes of keys and tokens that vendors give out, from the vendors' own documents.

A shape says how a token begins and how much must follow, at most 120 characters in all; a token may go on
longer. Public keys, account numbers and ids that unlock nothing are left out.
"""

from typing import NamedTuple


class Vendor(NamedTuple):
    """One kind of token."""

    rule: str
    label: str
    pattern: str
    """For re2 and re alike, without boundaries."""
    run: str = r"[A-Za-z0-9_\-]"
    """The characters it may go on with."""
    severity: int = 3
    anchor: str = ""
    """Where the pattern begins with a run or a mark: a part of it that a text must have somewhere."""


_B64 = r"[A-Za-z0-9+/=_\-]"
_HEX = "[0-9a-fA-F]"
_ALNUM = "[A-Za-z0-9]"


def _vendor(rule: str, pattern: str, run: str = r"[A-Za-z0-9_\-]", anchor: str = "") -> Vendor:
    return Vendor(f"secret.{rule}", rule.upper(), pattern, run, anchor=anchor)


VENDORS = (
    _vendor("aws_access_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}", _ALNUM),
    _vendor("aws_mws_key", rf"amzn\.mws\.{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"),
    _vendor("aws_bedrock_key", r"ABSK[A-Za-z0-9+/]{60}", _B64),
    _vendor("google_api_key", r"AIza[A-Za-z0-9_\-]{35}"),
    _vendor("google_oauth_secret", r"GOCSPX-[A-Za-z0-9_\-]{20}"),
    _vendor("google_oauth_token", r"ya29\.[A-Za-z0-9_\-]{20}", r"[A-Za-z0-9_\-.]"),
    _vendor(
        "azure_client_secret", r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.\-]{31}", r"[A-Za-z0-9_~.\-]", r"\dQ~"
    ),
    _vendor("azure_sas", r"[?&]sig=[A-Za-z0-9%/+]{40}", r"[A-Za-z0-9%/+=]", "[?&]sig="),
    _vendor("anthropic_key", r"sk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_\-]{20}"),
    _vendor("openrouter_key", rf"sk-or-v1-{_HEX}{{32}}", _HEX),
    _vendor("openai_key", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{20}"),
    _vendor("openai_key", r"sk-[A-Za-z0-9]{32}"),
    _vendor("groq_key", rf"gsk_{_ALNUM}{{40}}", _ALNUM),
    _vendor("xai_key", rf"xai-{_ALNUM}{{60}}", _ALNUM),
    _vendor("perplexity_key", rf"pplx-{_ALNUM}{{40}}", _ALNUM),
    _vendor("replicate_token", rf"r8_{_ALNUM}{{37}}", _ALNUM),
    _vendor("hf_token", rf"(?:hf_|api_org_){_ALNUM}{{30}}", _ALNUM),
    _vendor("github_token", rf"gh[pousr]_{_ALNUM}{{36}}", _ALNUM),
    _vendor("github_token", r"github_pat_[A-Za-z0-9_]{40}"),
    _vendor(
        "gitlab_token",
        r"gl(?:pat|ptt|dt|rt|cbt|imt|agent|oas|soat|ft|ffct)-[A-Za-z0-9_\-]{20}",
        r"[A-Za-z0-9_\-.]",
    ),
    _vendor("slack_token", r"xox[abeoprs](?:\.xox[bp])?-(?:\d+-)?[A-Za-z0-9\-]{10}"),
    _vendor("slack_token", r"xapp-\d-[A-Z0-9]{8,14}-\d{8,16}-[a-z0-9]{20}"),
    _vendor(
        "slack_webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/T[A-Za-z0-9+/]{30}",
        r"[A-Za-z0-9+/]",
    ),
    _vendor("stripe_key", rf"(?:sk|rk)_(?:live|test|prod)_{_ALNUM}{{10}}", _ALNUM),
    _vendor("stripe_webhook_secret", r"whsec_[A-Za-z0-9+/]{24}", _B64),
    _vendor("twilio_key", rf"SK{_HEX}{{32}}", _ALNUM),
    _vendor("sendgrid_key", r"SG\.[A-Za-z0-9_\-]{16,24}\.[A-Za-z0-9_\-]{16}"),
    _vendor("mailgun_key", r"key-[0-9a-f]{32}", _ALNUM),
    _vendor("mailchimp_key", r"[0-9a-f]{32}-us\d{1,2}", r"\d", r"[0-9a-f]-us\d"),
    _vendor("brevo_key", r"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}", _ALNUM),
    _vendor("npm_token", rf"npm_{_ALNUM}{{36}}", _ALNUM),
    _vendor("pypi_token", r"pypi-[A-Za-z0-9_\-]{40}"),
    _vendor("rubygems_key", r"rubygems_[0-9a-f]{48}", _ALNUM),
    _vendor("docker_token", r"dckr_(?:pat|oat)_[A-Za-z0-9_\-]{27}"),
    _vendor("artifactory_key", r"AKCp[0-9A-Za-z]{60}", _ALNUM),
    _vendor("telegram_token", r"\d{8,10}:[A-Za-z0-9_\-]{35}", anchor=r"\d:[A-Za-z0-9_\-]{35}"),
    _vendor(
        "discord_token",
        r"[MNO][A-Za-z\d_\-]{23,27}\.[A-Za-z\d_\-]{6}\.[A-Za-z\d_\-]{27}",
        anchor=r"\.[A-Za-z\d_\-]{6}\.[A-Za-z\d_\-]{27}",
    ),
    _vendor("discord_webhook", r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_\-]{40}"),
    _vendor("shopify_token", rf"shp(?:at|ca|pa|ss|tka)_{_HEX}{{32}}", _HEX),
    _vendor("square_token", r"(?:sq0(?:atp|csp)-[A-Za-z0-9_\-]{22}|EAAA[A-Za-z0-9_\-]{60})"),
    _vendor("paypal_token", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}", _ALNUM),
    _vendor("mercadopago_token", r"(?:APP_USR|TEST)-\d{10,20}-\d{6}-[0-9a-f]{32}"),
    _vendor("asaas_key", r"\$aact_[A-Za-z0-9_:=\-]{40}", r"[A-Za-z0-9_:=\-]", r"\$aact_"),
    _vendor("digitalocean_token", r"do[opr]_v1_[a-f0-9]{64}", _HEX),
    _vendor("databricks_token", r"dapi[0-9a-f]{32}", _ALNUM),
    _vendor("linear_key", rf"lin_(?:api|oauth)_{_ALNUM}{{40}}", _ALNUM),
    _vendor("notion_token", rf"(?:secret_{_ALNUM}{{43}}|ntn_{_ALNUM}{{40}})", _ALNUM),
    _vendor("figma_token", r"fig[dou][rh]?_[A-Za-z0-9_\-]{40}"),
    _vendor(
        "doppler_token", rf"dp\.(?:pt|ct|st|sa|scim|audit)\.(?:[a-z0-9_]{{2,20}}\.)?{_ALNUM}{{40}}", _ALNUM
    ),
    _vendor("vault_token", r"hv[sbr]\.[A-Za-z0-9_\-]{24}"),
    _vendor("terraform_token", rf"{_ALNUM}{{14}}\.atlasv1\.[A-Za-z0-9_=\-]{{60}}", _B64, r"\.atlasv1\."),
    _vendor("grafana_token", rf"(?:glsa_{_ALNUM}{{32}}_{_HEX}{{8}}|glc_[A-Za-z0-9+/]{{32}})", _B64),
    _vendor("newrelic_key", r"NR(?:AK|II|JS)-[A-Za-z0-9\-]{19,27}"),
    _vendor("sentry_token", r"sntr[yu]s?_[A-Za-z0-9+/=_\-]{40}", _B64),
    _vendor("postman_key", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", _HEX),
    _vendor("atlassian_token", r"ATATT3[A-Za-z0-9_=\-]{50}", _B64),
    _vendor("dropbox_token", r"sl\.(?:u\.)?[A-Za-z0-9_\-]{80}"),
    _vendor("facebook_token", r"EAA[A-Z][A-Za-z0-9]{80}", _ALNUM),
    _vendor("supabase_token", r"sb(?:p|_secret)_[A-Za-z0-9_]{31}"),
    _vendor("planetscale_token", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_\-.]{32}", r"[A-Za-z0-9_\-.]"),
    _vendor("pulumi_token", r"pul-[a-f0-9]{40}", _HEX),
    _vendor("airtable_token", rf"pat{_ALNUM}{{14}}\.[a-f0-9]{{64}}", _HEX),
    _vendor("contentful_token", r"CFPAT-[A-Za-z0-9_\-]{43}"),
    _vendor("age_key", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", "[A-Z0-9]"),
    _vendor("easypost_key", rf"EZ[AT]K{_ALNUM}{{54}}", _ALNUM),
    _vendor("flutterwave_key", rf"FLWSECK(?:_TEST)?-{_HEX}{{32}}", r"[A-Za-z0-9\-]"),
    _vendor("heroku_key", r"HRKU-[A-Za-z0-9_\-]{36}"),
    _vendor("cloudflare_key", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{60}", _HEX),
    _vendor("fly_token", r"fm\d[a-z]?_[A-Za-z0-9+/=,_\-]{60}", r"[A-Za-z0-9+/=,_\-]"),
    _vendor("langsmith_key", r"lsv2_(?:pt|sk)_[0-9a-f]{32}", r"[0-9a-f_]"),
    _vendor("nvidia_key", r"nvapi-[A-Za-z0-9_\-]{60}"),
    _vendor(
        "jwt",
        r"ey[JK][A-Za-z0-9_\-]{8,100}\.ey[JK][A-Za-z0-9_\-]{8}",
        r"[A-Za-z0-9_\-.=]",
        r"\.ey[JK][A-Za-z0-9_\-]{8}",
    ),
)

ANCHOR = "|".join(
    (
        *(vendor.anchor for vendor in VENDORS if vendor.anchor),
        f"(?:^|[^0-9A-Za-z_])(?:{'|'.join(vendor.pattern for vendor in VENDORS if not vendor.anchor)})",
    )
)
"""What a text must have somewhere before vendors are asked: tokens begin where a word begins."""
