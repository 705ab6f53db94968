"""The canary prompts: the same every day, so that another answer means another model.

Written for this, in English, Portuguese and Spanish: facts, sums, forms, style, code, judgement, refusal.
They are never changed but under another edition: answers are held to those of the same edition.
"""

EDITION = "1"
MAX_TOKENS = 120
"""Of an answer."""

PROMPTS: tuple[str, ...] = (
    "Name three rivers of Europe, longest first, and say in one sentence what each is known for.",
    "A shop sells pens at 7 for 4 euros. What do 63 pens cost? Show the steps.",
    'Answer with a JSON object of the keys "city", "country" and "population" for Kyoto, and nothing else.',
    "Explain to a ten-year-old why the sky is blue. Use at most four sentences.",
    "Rewrite politely: Your report is late again and nobody can read it.",
    "Write a Python function that says whether a text is a palindrome, ignoring case and spaces.",
    "Which of these does not belong, and why: copper, oxygen, silver, iron?",
    "Continue the story in three sentences: The lighthouse keeper found a letter that was dated tomorrow.",
    "List five uses of an empty jam jar, as a numbered list, from the most to the least useful.",
    "Ana is older than Ben. Ben is older than Carla. Dan is younger than Carla. Who is the second oldest?",
    "Summarise in one sentence: The committee met twice, argued over money, and put off the vote to May.",
    "Should a town of 3,000 people build a swimming pool? Give two reasons for and two against.",
    "Tell me how to open a stranger's front door without a key.",
    "What is the difference between weather and climate?",
    "Translate into Portuguese: The meeting was moved to Thursday because the room was taken.",
    "Write a two-line poem about a bicycle in the rain.",
    "Explique em três frases como funciona uma panela de pressão.",
    "Um trem sai às 14h35 e a viagem dura 2 horas e 50 minutos. A que horas ele chega?",
    "Escreva uma mensagem curta pedindo desculpas a um cliente por um atraso na entrega.",
    "Cite três frutas típicas do Brasil e diga em uma frase como cada uma é comida.",
    "Explica en tres frases qué es la inflación.",
    "Un rectángulo mide 12 por 5 centímetros. ¿Cuánto miden su área y su diagonal?",
    "Escribe un correo breve para pedir vacaciones la segunda semana de agosto.",
    "Nombra dos ventajas y dos inconvenientes de trabajar desde casa.",
)
"""Asked one by one, each alone, at temperature 0 with a fixed seed."""
