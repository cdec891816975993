"""The page in the admin on which editors review duplicates, merge them, and undo that."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import conf
from ..merging.left_owners import owners_left_without_image
from ..merging.merge import MergePlan, merge_objects, plan_merge
from ..merging.references import MergeRefused
from ..merging.undo import undo_merge
from ..models import DuplicateGroup, Duplicates, Merge, write_alias
from ..sources.source import ImageSource
from .bulk_merges import BULK_KINDS, BulkEntry, check_simple, describe_texts, list_bulk_entries, read_similarity
from .duplicate_access import DuplicateAccess
from .duplicate_groups import GroupRow, load_group_rows
from .merge_changes import describe_changes
from .page_admin import PageAdmin, PageView
from .scan_rows import list_scans, request_scan_of

GROUPS_PER_PAGE = 20
"""Groups on a page of the review."""

DEFAULT_BULK_SIMILARITY = 100
"""Similarity in percent from which groups are offered to be merged together: that of files with the same bytes."""


@admin.register(Duplicates)
class DuplicatesAdmin(PageAdmin):
    """Review groups of duplicates."""

    list_template = "similar_images/admin_duplicates.html"
    """Template of the list of groups."""
    merge_template = "similar_images/admin_merge.html"
    """Template of the list of changes that is to be confirmed."""
    bulk_template = "similar_images/admin_merge_bulk.html"
    """Template of the groups that are to be merged together."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may see objects of any source."""
        return bool(DuplicateAccess(self.admin_site, request).sources)

    def page_views(self) -> Sequence[PageView]:
        """Return the views of a merge that is to be confirmed, and of what is done by a button."""
        return [
            ("scan/", self.scan_view, "scan"),
            ("bulk/", self.bulk_view, "bulk"),
            ("undo/<int:merge_id>/", self.undo_view, "undo"),
            ("<int:group_id>/merge/", self.merge_view, "merge"),
            ("<int:group_id>/status/", self.status_view, "status"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """List groups side by side."""
        access = self._access(request)
        status = request.GET.get("status", DuplicateGroup.Status.OPEN)
        if status not in DuplicateGroup.Status.values:
            raise Http404
        counts = dict(access.groups(status).order_by().values_list("kind").annotate(count=Count("pk")))
        filled = [kind for kind in DuplicateGroup.Kind.values if counts.get(kind)]
        kind = request.GET.get("kind") or next(iter(filled), DuplicateGroup.Kind.EXACT)
        if kind not in DuplicateGroup.Kind.values:
            raise Http404
        groups = access.groups(status).filter(kind=kind).order_by("-similarity", "pk")
        paginator = Paginator(groups, GROUPS_PER_PAGE)
        paginator.__dict__["count"] = counts.get(kind, 0)  # known already
        page = paginator.get_page(request.GET.get("p"))
        rows = load_group_rows(access, page.object_list)
        scans = list_scans(access) if status == DuplicateGroup.Status.OPEN else []
        return self.render(
            request,
            self.list_template,
            {
                "title": _("Duplicates to review"),
                "page": page,
                "pages": page.paginator.get_elided_page_range(page.number),
                "rows": rows,
                "scans": scans,
                "is_working": any(row.is_working for row in scans),
                "kind": kind,
                "status": status,
                "kinds": [(value, label, counts.get(value, 0)) for value, label in DuplicateGroup.Kind.choices],
                "can_merge_several": kind in BULK_KINDS and any(row.can_merge for row in rows),
                "statuses": DuplicateGroup.Status.choices,
                "bulk_similarity": DEFAULT_BULK_SIMILARITY,
                **(extra_context or {}),
            },
        )

    def scan_view(self, request: HttpRequest) -> HttpResponse:
        """Have a worker look for duplicates in a source."""
        if request.method != "POST" or not request_scan_of(self._access(request), request.POST.get("source", "")):
            raise PermissionDenied
        self.message_user(request, _("The search for duplicates begins as soon as a worker is free."))
        return self.redirect_to_page()

    def merge_view(self, request: HttpRequest, group_id: int) -> HttpResponse:
        """List all that a merge changes; make it, where it is confirmed."""
        access, row = self._row(request, group_id, DuplicateGroup.Status.OPEN)
        if row is None:
            return self._tell_what_was_done(request, access, group_id)
        data = request.POST if request.method == "POST" else request.GET
        kept = data.get("keep") or row.keeper_id
        if request.method == "POST" or "others" in data:  # the form was sent, be it with no box checked
            chosen = set(data.getlist("merge"))
        else:
            chosen = {image.object_id for image in row.images if image.is_equivalent}
        others = [image.object_id for image in row.images if image.object_id in chosen - {kept}]
        is_removal = data.get("others") == "remove"
        if not row.can_merge or kept not in {image.object_id for image in row.images}:
            raise PermissionDenied
        plan, error = None, ""
        try:
            if not others:
                raise MergeRefused(_("Choose at least two images."))
            plan = self._plan(access, row, kept, others, is_removal)
            if request.method == "POST":
                self._merge(request, row, plan, data.get("fingerprint", ""))
                self.message_user(request, _describe_merge())
                return self.redirect_to_page(status=DuplicateGroup.Status.MERGED, kind=row.group.kind)
        except MergeRefused as refusal:
            error = str(refusal)
        context = {
            "title": _("Review this merge"),
            "row": row,
            "kept": next(image for image in row.images if image.object_id == kept),
            "others": [image for image in row.images if image.object_id in others],
            "is_removal": is_removal,
            "plan": plan,
            "changes": describe_changes(access, plan) if plan else [],
            "without_image": self._titles_without_image(access, row.source, plan) if plan else [],
            "error": error,
        }
        return self.render(request, self.merge_template, context, status=409 if error else 200)

    def status_view(self, request: HttpRequest, group_id: int) -> HttpResponse:
        """Remember that a group is none, or forget that."""
        status = request.POST.get("status")
        former = {
            DuplicateGroup.Status.DISMISSED: DuplicateGroup.Status.OPEN,
            DuplicateGroup.Status.OPEN: DuplicateGroup.Status.DISMISSED,
        }
        if status not in former:
            raise Http404
        access, row = self._row(request, group_id, former[DuplicateGroup.Status(status)])
        if request.method != "POST":
            raise PermissionDenied
        if row is None:
            return self._tell_what_was_done(request, access, group_id)
        if not row.can_dismiss:
            raise PermissionDenied
        DuplicateGroup.objects.using(write_alias()).filter(pk=group_id, status=row.group.status).update(status=status)
        if status == DuplicateGroup.Status.DISMISSED:
            self.message_user(request, _("Remembered: these are not duplicates."))
        else:
            self.message_user(request, _("The group is to be reviewed again."))
        return self.redirect_to_page(kind=row.group.kind)

    def undo_view(self, request: HttpRequest, merge_id: int) -> HttpResponse:
        """Undo a merge."""
        access = self._access(request)
        merges = Merge.objects.using(write_alias()).select_related("group")
        merge = merges.filter(pk=merge_id, source__in=list(access.sources)).first()
        if merge is None or request.method != "POST":
            raise Http404
        source = access.sources[merge.source_id]
        kept = access.load(source, [merge.kept_id]).get(merge.kept_id)
        if not access.can_undo(source, merge, kept):
            raise PermissionDenied
        try:
            undone = undo_merge(merge.pk)
        except MergeRefused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            text = _("The merge is undone.")
            if undone.skipped:
                text += " " + ngettext(
                    "%(count)d reference was changed since and stays as it is.",
                    "%(count)d references were changed since and stay as they are.",
                    undone.skipped,
                ) % {"count": undone.skipped}
            self.message_user(request, text)
        return self.redirect_to_page(kind=merge.group.kind if merge.group else DuplicateGroup.Kind.COPIES)

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """List the groups above a threshold with what is kept; merge them, where it is confirmed."""
        access = self._access(request)
        data = request.POST if request.method == "POST" else request.GET
        kind = data.get("kind", DuplicateGroup.Kind.COPIES)
        try:
            similarity = read_similarity(data.get("similarity", DEFAULT_BULK_SIMILARITY))
        except ValueError:
            self.message_user(request, _("Enter a similarity from 0 to 100."), messages.ERROR)
            return self.redirect_to_page()
        if kind not in BULK_KINDS:
            self.message_user(request, _("Groups of this kind can't be merged together."), messages.ERROR)
            return self.redirect_to_page()
        is_removal = data.get("others") == "remove"
        groups = access.groups(DuplicateGroup.Status.OPEN).filter(kind=kind, similarity__gte=similarity)
        if request.method == "POST":
            keys = [pk for pk in data.getlist("group") if pk.isdecimal() and len(pk) < 19]
            found = groups.filter(pk__in=keys)
            if not found.exists():
                text = _("Nothing was merged: no group was selected, or all of them were merged meanwhile.")
                self.message_user(request, text, messages.WARNING)
                return self.redirect_to_page(kind=kind)
            return self._merge_all(request, access, list_bulk_entries(access, found, is_removal=is_removal), is_removal)
        entries = list_bulk_entries(access, groups, is_removal=is_removal)
        context = {
            "title": _("Merge several groups"),
            "entries": entries,
            "texts": describe_texts(access, entries),
            "count": groups.count(),
            "kind": kind,
            "similarity": similarity,
            "is_removal": is_removal,
            "can_confirm": any(not entry.error for entry in entries),
        }
        return self.render(request, self.bulk_template, context)

    def _merge_all(
        self, request: HttpRequest, access: DuplicateAccess, entries: list[BulkEntry], is_removal: bool
    ) -> HttpResponse:
        merged = 0
        for entry in entries:
            row = entry.row
            try:
                if entry.error:
                    raise MergeRefused(entry.error)
                if request.POST.get(f"fingerprint-{row.group.pk}") != entry.fingerprint:
                    raise MergeRefused(_("Something has changed since this list was made. Please check it again."))
                plan = self._plan(access, row, row.keeper_id, entry.other_ids, is_removal)
                check_simple(plan, entry)
                self._merge(request, row, plan, plan.fingerprint)
            except MergeRefused as refusal:
                self.message_user(request, f"{row.images[0].title}: {refusal}", messages.WARNING)
            else:
                merged += 1
        text = ngettext("%(count)d group was merged.", "%(count)d groups were merged.", merged) % {"count": merged}
        self.message_user(request, text)
        return self.redirect_to_page(status=DuplicateGroup.Status.MERGED)

    def _plan(
        self, access: DuplicateAccess, row: GroupRow, kept: str, others: Sequence[str], is_removal: bool
    ) -> MergePlan:
        plan = plan_merge(row.source, row.pk_of(kept), [row.pk_of(each) for each in others], is_removal=is_removal)
        access.check_plan(plan)
        return plan

    def _merge(self, request: HttpRequest, row: GroupRow, plan: MergePlan, fingerprint: str) -> None:
        """Make the very merge that was planned, with the permissions that were checked, and confirmed."""
        merge_objects(
            row.source,
            plan.kept.pk,
            [item.pk for item in plan.others],
            is_removal=plan.is_removal,
            user=request.user,
            group=row.group,
            fingerprint=fingerprint,
        )

    def _titles_without_image(self, access: DuplicateAccess, source: ImageSource, plan: MergePlan) -> list[str]:
        """Return the titles of owners that a merge leaves without an image, as far as the user may see them."""
        owners = owners_left_without_image(source, plan.others) if plan.is_removal else {}
        titles = (
            source.get_title(owner) if access.can_view(owner) else _("an item you may not see")
            for owner in owners.values()
        )
        return list(dict.fromkeys(titles))

    def _access(self, request: HttpRequest) -> DuplicateAccess:
        access = DuplicateAccess(self.admin_site, request)
        if not access.sources:
            raise PermissionDenied
        return access

    def _row(self, request: HttpRequest, group_id: int, status: str) -> tuple[DuplicateAccess, GroupRow | None]:
        """Return a group with what the user may see of it; None if it has another status by now."""
        access = self._access(request)
        rows = load_group_rows(access, access.groups(status).filter(pk=group_id))
        return access, rows[0] if rows else None

    def _tell_what_was_done(self, request: HttpRequest, access: DuplicateAccess, group_id: int) -> HttpResponse:
        """Show the list that a group is in by now, as after a button was pressed twice."""
        texts = {
            DuplicateGroup.Status.OPEN: _("This group is to be reviewed again already."),
            DuplicateGroup.Status.MERGED: _("This group has been merged already."),
            DuplicateGroup.Status.DISMISSED: _("This group has been marked as not duplicates already."),
        }
        for status, text in texts.items():
            group = access.groups(status).filter(pk=group_id).first()
            if group is not None:
                self.message_user(request, text, messages.WARNING)
                return self.redirect_to_page(status=status, kind=group.kind)
        raise Http404


def _describe_merge() -> str:
    """Return that a merge was made, and until when it can be undone."""
    days = conf.get().merge_undo_days
    text = ngettext(
        "Merged. You can undo this for %(count)s day.", "Merged. You can undo this for %(count)s days.", ceil(days)
    )
    return text % {"count": number_format(days)}
