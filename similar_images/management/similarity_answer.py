"""The answer to how good the similar items of a source are: some lines, and a page."""

from __future__ import annotations

from dataclasses import dataclass

from .. import marks
from ..evaluation import assessment_text
from ..evaluation.assessment import Assessment, Truth, assess
from ..evaluation.assessment_page import list_shown, render_assessment
from ..evaluation.judged_pairs import JudgedPairs, pairs_by_label, pairs_by_marks
from ..evaluation.marked_labels import label_by_marks
from ..evaluation.misses import find_worst_misses
from ..evaluation.reliability import Reliability, measure_reliability
from ..evaluation.reliability_text import ReliabilityAnswer
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
    reliability: ReliabilityAnswer

    @property
    def _label(self) -> str:
        return assessment_text.name_label(self.source, self.assessment.label)

    def lines(self) -> list[str]:
        """Return the answer in a few lines."""
        lines = [*assessment_text.answer_in_lines(self.assessment, self.source.label, self._label)]
        return [*lines, self.reliability.sentence(self._label)]

    def page(self) -> str:
        """Return the answer as a page, with the worst misses as pictures."""
        misses = find_worst_misses(self.assessment, self.ranking)
        shown = self.source.with_file().filter(pk__in=list_shown(self.assessment, misses))
        name = str if self.source.ownership else self.source.get_title
        titles = {self.source.object_id(item.pk): name(item) for item in shown}
        return render_assessment(self.assessment, misses, self.source, self._label, titles, self.reliability)


def answer_for(result: EvaluationResult, compared: SettingsToCompare, source: ImageSource) -> SimilarityAnswer | None:
    """Return the answer for a source; None if nothing could be measured.

    Args:
        result: the results of its evaluation.
        compared: the settings that were compared.
        source: the source.
    """
    marked = marks.marked_pairs(source)
    assessment = assess(result, compared.settings, label_by_marks(result.described, marked)[1])
    if assessment is None:
        return None
    ranking = compared.rankings[compared.present]
    return SimilarityAnswer(assessment, source, ranking, _answer_reliability(assessment, ranking, marked))


def _answer_reliability(
    assessment: Assessment, ranking: Ranking, marked: list[tuple[str, str, bool]]
) -> ReliabilityAnswer:
    """Return what percentages mean: by marks, where there are enough of both verdicts, or else by the label."""
    by_marks = _measure_pairs(pairs_by_marks(assessment.described, ranking, marked))
    if by_marks.fitted is None and assessment.truth is Truth.FIELD:
        by_label = _measure_pairs(pairs_by_label(assessment.described, ranking, assessment.label))
        return ReliabilityAnswer(by_label, by_marks=False)
    return ReliabilityAnswer(by_marks, by_marks=True)


def _measure_pairs(pairs: JudgedPairs) -> Reliability:
    return measure_reliability(pairs.percents, pairs.is_similar, pairs.units)
