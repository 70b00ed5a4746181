"""Controls on trade and other acts of governments on a material, and on the materials that it holds together.

What belongs here: choosing and ordering acts for a material's page. What does not: HTML, what an act does to
dependence (marts).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from website import words
from website.marts import Row, by
from website.render import Site

SHIPPED = ("export_control", "export_ban", "export_quota", "technology_control", "embargo", "sanction", "tariff",
           "suspension", "sourcing_rule")  # fmt: skip


@dataclass(frozen=True)
class Acts:
    """Acts by material.

    Attributes:
        today: day of the release, up to which what is in force is drawn.
        controls: export controls, one row each, with ``stages`` and ``of``: names of the member materials that a
            control of a group is on; empty for one on the material itself.
        events: other acts, with ``of`` alike.
    """

    today: str
    controls: dict[str, list[Row]]
    events: dict[str, list[Row]]

    @classmethod
    def of(cls, site: Site) -> Acts:
        """Read the acts of a release."""
        members = _members(site)
        controls = _with_members(site, _controls(site), members, "scenario")
        events = _with_members(site, _events(site), members, "event")
        for rows in controls.values():
            rows.sort(key=lambda row: (str(row["effective"] or row["announced"] or ""), row["scenario"]))
        for rows in events.values():
            rows.sort(key=lambda row: (row["event_date"], row["event"]))
        return cls(site.release["date"], controls, events)

    def timeline(self, material: str) -> dict[str, Any]:
        """Return bars of controls while they are in force, and dots of other acts on trade."""
        controls = self.controls.get(material, [])
        rows = [bar for control in controls for bar in _bars(control, self.today)]
        listed = {control["authority_no"] for control in controls if control["authority_no"]}
        for event in self.events.get(material, []):
            if event["kind"] in SHIPPED and event["authority_no"] not in listed:
                moment = event["effective"] or event["event_date"]
                rows.append(
                    {
                        "label": f"{event['jurisdiction']} {words.in_words(event['kind']).lower()}|"
                        f"{words.day(moment, event['date_precision'])}",
                        "title": event["instrument"], "status": "Announced", "start": moment.isoformat(), "end": None,
                    }
                )  # fmt: skip
        rows.sort(key=lambda row: (row["start"], row["label"], row["status"]))
        order = {row["label"]: place for place, row in reversed(list(enumerate(rows)))}
        rows.sort(key=lambda row: order[row["label"]])
        return {"rows": rows, "domain": ["In force", "Suspended"]}


def _bars(control: Row, today: str) -> list[dict[str, Any]]:
    """Return the times in which a control was in force and suspended."""
    start = control["effective"] or control["announced"]
    ends = control["suspended"].isoformat() if control["suspended"] else today
    if start is None or not ends:
        return []
    pieces = [("In force", start.isoformat(), ends)] if start.isoformat() < ends else []
    if control["suspended"]:
        until = control["suspended_until"].isoformat() if control["suspended_until"] else today
        pieces.append(("Suspended", max(start, control["suspended"]).isoformat(), min(max(today, ends), until)))
    label = f"{control['actor']} export control|{control['authority_no'] or start.isoformat()}"
    return [
        {"label": label, "title": control["title"], "status": status, "start": begin, "end": end}
        for status, begin, end in pieces
    ]


def _members(site: Site) -> dict[str, str]:
    """Return the group by material of those that are measured as a group, such as dysprosium as rare earths."""
    if not site.marts.has("mart_policy_timeline"):
        return {}
    found = site.marts.rows(
        "select distinct material, measured_material from mart_policy_timeline "
        "where measured_material <> material and material not in ('all', 'none')"
    )
    return {row["material"]: row["measured_material"] for row in found}


def _with_members(site: Site, rows: dict[str, list[Row]], members: dict[str, str], key: str) -> dict[str, list[Row]]:
    """Give each group the acts on its members that are not on the group itself, each once with the members' names."""
    shown = {material: [row | {"of": []} for row in found] for material, found in rows.items()}
    own = {(material, row[key]) for material, found in rows.items() for row in found}
    joint: dict[tuple[str, Any], Row] = {}
    for member, group in sorted(members.items()):
        for row in rows.get(member, []):
            if (group, row[key]) in own:
                continue
            if (group, row[key]) not in joint:
                joint[group, row[key]] = row | {"of": [], "stages": row["stages"]}
                shown.setdefault(group, []).append(joint[group, row[key]])
            joint[group, row[key]]["of"].append(site.marts.materials.get(member, words.in_words(member)))
    return shown


def _events(site: Site) -> dict[str, list[Row]]:
    if not site.marts.has("mart_policy_timeline"):
        return {}
    found = site.marts.rows(
        """
        select distinct on (material, event) material, event, event_date, date_precision, effective, suspended,
            suspended_until, jurisdiction, counterparty, kind, instrument, statement, stages, authority_no, citation,
            url, confidence, evidence
        from mart_policy_timeline order by material, event
        """
    )
    return by(found, "material")


def _controls(site: Site) -> dict[str, list[Row]]:
    """Return export controls with their status and stages, from the scenarios that are made of them.

    How long a suspension lasts is in the timeline of acts.
    """
    if not site.marts.has("dim_scenario"):
        return {}
    until = "null::date"
    if site.marts.has("mart_policy_timeline"):
        until = (
            "(select max(suspended_until) from mart_policy_timeline as p "
            "where p.authority_no = s.authority_no and p.suspended is not null)"
        )
    found = site.marts.rows(
        "select scenario, title, actor, material, stage, authority_no, announced, effective, status, suspended, "
        f"{until} as suspended_until, confidence, source, vintage, evidence "
        "from dim_scenario as s left join dim_stage using (stage) where kind = 'export_control' "
        "order by material, scenario, position nulls first"
    )
    joined: dict[str, list[Row]] = defaultdict(list)
    for (material, _), rows in by(found, "material", "scenario").items():
        stages = [site.marts.stages.get(row["stage"], "every stage") for row in rows]
        joined[material].append(rows[0] | {"stages": ", ".join(dict.fromkeys(stages))})
    return joined
