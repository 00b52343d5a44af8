from __future__ import annotations

from napari_neuropretrain.gui.explanation.trust import trust_sentences, verdict
from napari_neuropretrain.gui.explanation.trust_panel import TrustPanel


def test_a_map_without_checks():
    said = trust_sentences({"prediction": 0.4, "checks": None, "complete": False})
    assert said[0].startswith("The map is not complete")
    assert said[1] == "It was not checked. Run Explain again with Checks."
    assert verdict({"checks": None}) == ("", False)


def test_doubts_come_first_and_in_red(qtbot):
    explanation = {"checks": {"doubts": ["Too alike."], "outside_share": 0.2}}
    assert verdict(explanation) == ("Doubts: Too alike.", True)
    assert "20% of the effect lies outside the brain." in trust_sentences(explanation)
    panel = TrustPanel()
    qtbot.addWidget(panel)
    panel.show_trust(explanation)
    assert panel.verdict.text() == "Doubts: Too alike."
    assert panel.verdict.tone == "wrong"
    assert panel.plot.isHidden()
    assert not panel.random.isEnabled()
