"""A question finds documents in the other language by the words that the glossary knows."""

import pytest

from zhiku_services.assistant.answering.translation import translate_keywords

from .conftest import Assistant


@pytest.mark.parametrize(
    ("question", "keywords"),
    [
        ("笔记本电脑使用几年后更换？", "laptop used how many years replaced"),
        ("VPN 一次登录可以用多久？", "vpn sign-in how long"),
        ("How large is the bonus pool for 2026?", "多少 奖金池 2026"),
        ("Who approves expenses?", "谁 审批 报销"),
    ],
)
def test_known_words_are_translated_and_names_are_kept(question: str, keywords: str) -> None:
    assert translate_keywords(question) == keywords


@pytest.mark.parametrize(
    "question", ["火星基地宇航员编制", "What is the viscosity of molten basalt in the upper mantle?", "谢谢", ""]
)
def test_a_question_of_unknown_words_is_not_made_into_another(question: str) -> None:
    assert translate_keywords(question) is None


@pytest.mark.anyio
async def test_a_chinese_question_is_answered_from_an_english_document(assistant: Assistant) -> None:
    assistant.knowledge.add("Equipment", "Laptops are replaced after 4 years, monitors after 7 years.")
    answer = await assistant.ask("笔记本电脑使用几年后更换？")
    assert answer.sentences[1].text == "Laptops are replaced after 4 years, monitors after 7 years."
    assert answer.text.startswith("在文件中找到以下原文：")
