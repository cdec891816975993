"""The answer to how good the similar items of a source are: some lines, and a page."""

from __future__ import annotations

from dataclasses import dataclass

from ..evaluation import assessment_text
from ..evaluation.assessment import Assessment, assess
from ..evaluation.assessment_page import list_shown, render_assessment
from ..evaluation.misses import find_worst_misses
from ..evaluation.report import EvaluationResult
from ..search.ranking import Ranking
from ..sources.source import ImageSource
from .ranking_options import SettingsToCompare


@dataclass(frozen=True)
class SimilarityAnswer:
    """An assessment of a source that can be told."""

    assessment: Assessment
    source: ImageSource
    ranking: Ranking

    @property
    def _label(self) -> str:
        return assessment_text.name_label(self.source, self.assessment.label)

    def lines(self) -> list[str]:
        """Return the answer in a few lines."""
        return [*assessment_text.answer_in_lines(self.assessment, self.source.label, self._label)]

    def page(self) -> str:
        """Return the answer as a page, with the worst misses as pictures."""
        misses = find_worst_misses(self.assessment, self.ranking)
        shown = self.source.with_file().filter(pk__in=list_shown(self.assessment, misses))
        name = str if self.source.ownership else self.source.get_title
        titles = {self.source.object_id(item.pk): name(item) for item in shown}
        return render_assessment(self.assessment, misses, self.source, self._label, titles)


def answer_for(
    result: EvaluationResult, compared: SettingsToCompare, source: ImageSource, marked_groups: int
) -> SimilarityAnswer | None:
    """Return the answer for a source; None if nothing could be measured.

    Args:
        result: the results of its evaluation.
        compared: the settings that were compared.
        source: the source.
        marked_groups: number of groups of images that editors have marked as similar.
    """
    assessment = assess(result, compared.settings, marked_groups)
    return SimilarityAnswer(assessment, source, compared.rankings[compared.present]) if assessment else None
