"""Synthetic bilingual dialogues for the built-in guide model.

Everything the guide can say is written here: facts about VX11, small talk,
copying and memory exercises, and an honest fallback for all other questions.
`dialogue(rng)` returns one conversation as [(role, text), ...].
"""
import random

MODULES = {  # name: (port, english role, spanish role)
    "tentaculo_link": (
        8000,
        "the front door: it authenticates every request and routes it to the right module",
        "la puerta de entrada: autentica cada petición y la envía al módulo correcto",
    ),
    "madre": (
        8001,
        "the orchestrator: it turns intents into plans and asks for confirmation before anything risky",
        "la orquestadora: convierte intenciones en planes y pide confirmación antes de algo arriesgado",
    ),
    "switch": (
        8002,
        "the router: it picks the best model or provider for each request",
        "el enrutador: elige el mejor modelo o proveedor para cada petición",
    ),
    "hermes": (
        8003,
        "the registry: it knows, downloads, verifies and warms up the models",
        "el registro: conoce, descarga, verifica y calienta los modelos",
    ),
    "hormiguero": (
        8004,
        "the colony: its ants watch the system and report incidents",
        "la colonia: sus hormigas vigilan el sistema e informan de incidentes",
    ),
    "manifestator": (
        8005,
        "the auditor: it detects drift from a baseline and plans patches",
        "el auditor: detecta desvíos respecto a una base y planifica parches",
    ),
    "mcp": (
        8006,
        "the tool server: it speaks the Model Context Protocol to assistants and editors",
        "el servidor de herramientas: habla Model Context Protocol con asistentes y editores",
    ),
    "shub": (
        8007,
        "the audio engineer: it measures, repairs, mixes and masters sound",
        "el ingeniero de audio: mide, repara, mezcla y masteriza sonido",
    ),
    "spawner": (
        8008,
        "the executor: it runs short-lived jobs inside a sandbox",
        "el ejecutor: corre trabajos efímeros dentro de un sandbox",
    ),
    "operator": (
        8011,
        "the operator backend: it keeps chat sessions and drives the browser",
        "el backend del operador: guarda las sesiones de chat y maneja el navegador",
    ),
}
ALIASES = {
    "tentaculo_link": ["tentaculo link", "tentaculo_link", "the gateway", "Tentáculo Link"],
    "madre": ["madre", "Madre"],
    "switch": ["switch", "Switch"],
    "hermes": ["hermes", "Hermes"],
    "hormiguero": ["hormiguero", "Hormiguero"],
    "manifestator": ["manifestator", "Manifestator"],
    "mcp": ["mcp", "MCP"],
    "shub": ["shub", "Shub"],
    "spawner": ["spawner", "Spawner"],
    "operator": ["operator", "the operator", "Operator"],
}

TASKS = [  # (english ways to ask, english answer, spanish ways to ask, spanish answer)
    (
        [
            "start the system",
            "start vx11",
            "bring everything up",
            "launch vx11",
            "boot the services",
        ],
        "Run `vx11 up`. It starts every module and prints the address of the web page.",
        ["arrancar el sistema", "iniciar vx11", "levantar todo", "poner en marcha los servicios"],
        "Ejecuta `vx11 up`. Arranca todos los módulos y muestra la dirección de la página web.",
    ),
    (
        ["stop the system", "stop vx11", "shut everything down", "turn vx11 off"],
        "Run `vx11 down`. It stops every module cleanly.",
        ["parar el sistema", "detener vx11", "apagar todo"],
        "Ejecuta `vx11 down`. Detiene todos los módulos limpiamente.",
    ),
    (
        [
            "see the status",
            "check the health",
            "know if everything is running",
            "see which modules are healthy",
        ],
        "Run `vx11 status`. It shows the health of each module.",
        ["ver el estado", "comprobar la salud", "saber si todo funciona"],
        "Ejecuta `vx11 status`. Muestra la salud de cada módulo.",
    ),
    (
        ["read the logs", "see the logs", "follow the logs of a module"],
        "Run `vx11 logs`, or `vx11 logs switch` to follow one module.",
        ["leer los registros", "ver los logs", "seguir los logs de un módulo"],
        "Ejecuta `vx11 logs`, o `vx11 logs switch` para seguir un módulo.",
    ),
    (
        ["list the models", "see my models", "know which models are installed"],
        "Run `vx11 models list`.",
        ["listar los modelos", "ver mis modelos", "saber qué modelos hay instalados"],
        "Ejecuta `vx11 models list`.",
    ),
    (
        [
            "download a model",
            "install a model",
            "get a bigger model",
            "pull a model",
            "add mistral",
        ],
        "Run `vx11 models pull mistral-7b-instruct`. The download resumes if it is interrupted and is verified at the end.",
        [
            "descargar un modelo",
            "instalar un modelo",
            "conseguir un modelo más grande",
            "añadir mistral",
        ],
        "Ejecuta `vx11 models pull mistral-7b-instruct`. La descarga se reanuda si se corta y se verifica al final.",
    ),
    (
        ["add my own gguf file", "use a gguf file I already have", "register a local model"],
        "Run `vx11 models add FILE.gguf`.",
        ["añadir mi propio fichero gguf", "usar un gguf que ya tengo", "registrar un modelo local"],
        "Ejecuta `vx11 models add FICHERO.gguf`.",
    ),
    (
        ["warm up a model", "preload a model", "make the first answer faster"],
        "Run `vx11 models warm NAME`. It loads the model and generates a first token.",
        ["calentar un modelo", "precargar un modelo", "que la primera respuesta sea más rápida"],
        "Ejecuta `vx11 models warm NOMBRE`. Carga el modelo y genera un primer token.",
    ),
    (
        ["chat from the terminal", "talk to a model from the shell", "chat on the command line"],
        "Run `vx11 chat`.",
        ["chatear desde la terminal", "hablar con un modelo en la consola"],
        "Ejecuta `vx11 chat`.",
    ),
    (
        [
            "check production readiness",
            "know if it is ready for production",
            "run the final checks",
        ],
        "Run `vx11 doctor`. It checks every module, the database, the models and the logs.",
        ["comprobar si está listo para producción", "pasar las comprobaciones finales"],
        "Ejecuta `vx11 doctor`. Comprueba cada módulo, la base de datos, los modelos y los registros.",
    ),
    (
        ["back up the database", "make a backup", "save a copy of the data"],
        "Run `vx11 db backup`. The copy is verified before it is kept.",
        [
            "hacer una copia de la base de datos",
            "hacer un backup",
            "guardar una copia de los datos",
        ],
        "Ejecuta `vx11 db backup`. La copia se verifica antes de guardarse.",
    ),
    (
        ["restore a backup", "go back to an old copy of the database"],
        "Run `vx11 db restore FILE`. The current file is kept aside.",
        ["restaurar una copia", "volver a una copia anterior de la base de datos"],
        "Ejecuta `vx11 db restore FICHERO`. El fichero actual se conserva aparte.",
    ),
    (
        ["see the database schema", "draw a map of the database", "document the tables"],
        "Run `vx11 db map`. It writes the schema as Markdown and JSON.",
        [
            "ver el esquema de la base de datos",
            "hacer un mapa de la base de datos",
            "documentar las tablas",
        ],
        "Ejecuta `vx11 db map`. Escribe el esquema en Markdown y JSON.",
    ),
    (
        ["shrink the database", "clean old data", "keep the database small"],
        "Run `vx11 db maintain`. It backs up, applies the retention rules and compacts the file.",
        ["reducir la base de datos", "limpiar datos viejos", "mantener pequeña la base de datos"],
        "Ejecuta `vx11 db maintain`. Hace una copia, aplica la retención y compacta el fichero.",
    ),
    (
        ["open a web page", "browse a site", "take a screenshot of a page"],
        "Run `vx11 browse URL`. A real browser opens the page and saves a screenshot.",
        ["abrir una página web", "navegar a un sitio", "capturar una página"],
        "Ejecuta `vx11 browse URL`. Un navegador real abre la página y guarda una captura.",
    ),
    (
        ["analyze a song", "measure loudness", "check an audio file"],
        "Run `vx11 audio analyze FILE.wav`.",
        ["analizar una canción", "medir la sonoridad", "revisar un fichero de audio"],
        "Ejecuta `vx11 audio analyze FICHERO.wav`.",
    ),
    (
        ["master a track", "master a song for streaming"],
        "Run `vx11 audio master FILE.wav --lufs -14`.",
        ["masterizar una pista", "masterizar una canción para streaming"],
        "Ejecuta `vx11 audio master FICHERO.wav --lufs -14`.",
    ),
    (
        ["find drift", "see what changed", "detect changed files"],
        "Run `vx11 drift scan`. It compares the tree with the accepted baseline.",
        ["detectar desvíos", "ver qué ha cambiado", "detectar ficheros cambiados"],
        "Ejecuta `vx11 drift scan`. Compara el árbol con la base aceptada.",
    ),
    (
        ["see the incidents", "know what the ants found", "list the incidents"],
        "Run `vx11 incidents`.",
        ["ver los incidentes", "saber qué han encontrado las hormigas"],
        "Ejecuta `vx11 incidents`.",
    ),
    (
        ["turn a module off", "put a module to sleep", "change the state of a module"],
        "Run `vx11 modules set NAME standby`. The states are active, standby and off.",
        ["apagar un módulo", "dormir un módulo", "cambiar el estado de un módulo"],
        "Ejecuta `vx11 modules set NOMBRE standby`. Los estados son active, standby y off.",
    ),
    (
        ["run a command safely", "run a job in the sandbox"],
        "Run `vx11 spawn -- COMMAND`. It runs in a sandbox with a time limit.",
        ["ejecutar un comando con seguridad", "correr un trabajo en el sandbox"],
        "Ejecuta `vx11 spawn -- COMANDO`. Corre en un sandbox con límite de tiempo.",
    ),
    (
        ["find my token", "see the access token", "get the password"],
        "Run `vx11 token show`.",
        ["encontrar mi token", "ver el token de acceso"],
        "Ejecuta `vx11 token show`.",
    ),
    (
        ["connect an editor", "connect claude or vs code", "use the tools from an assistant"],
        "Point it at `http://127.0.0.1:8006/mcp`, or run `vx11 mcp` for the stdio transport.",
        ["conectar un editor", "conectar un asistente", "usar las herramientas desde un editor"],
        "Apúntalo a `http://127.0.0.1:8006/mcp`, o ejecuta `vx11 mcp` para el transporte stdio.",
    ),
    (
        ["use the openai api", "use the openai client", "call the api from my program"],
        "Set the base URL to `http://127.0.0.1:8000/v1` and use your token as the key.",
        ["usar la api de openai", "usar el cliente de openai", "llamar a la api desde mi programa"],
        "Pon la URL base `http://127.0.0.1:8000/v1` y usa tu token como clave.",
    ),
    (
        ["open the web page", "open the dashboard", "see the operator page"],
        "Open `http://127.0.0.1:8020` in your browser.",
        ["abrir el panel", "ver la página del operador"],
        "Abre `http://127.0.0.1:8020` en tu navegador.",
    ),
    (
        ["add a cloud provider", "use deepseek", "use a remote model"],
        "Run `vx11 providers add`, and keep its key in an environment variable.",
        ["añadir un proveedor en la nube", "usar deepseek", "usar un modelo remoto"],
        "Ejecuta `vx11 providers add`, y guarda su clave en una variable de entorno.",
    ),
]
ASK_EN = [
    "How do I {}?",
    "how can I {}",
    "how to {}",
    "I want to {}.",
    "What is the command to {}?",
    "Please tell me how to {}.",
    "How would I {}?",
    "Can you tell me how to {}?",
    "i need to {}",
    "What should I run to {}?",
]
ASK_ES = [
    "¿Cómo puedo {}?",
    "¿Cómo se hace para {}?",
    "como puedo {}",
    "Quiero {}.",
    "¿Qué comando sirve para {}?",
    "Dime cómo {}.",
    "necesito {}",
    "¿Qué ejecuto para {}?",
]

CHAT = [
    (
        ["hi", "hello", "Hello!", "hey", "Hi there", "good morning", "Good evening!"],
        [
            "Hello! I am the VX11 guide. Ask me how to run the system.",
            "Hi! I am the VX11 guide. What do you want to do?",
        ],
    ),
    (
        ["hola", "¡Hola!", "buenos días", "buenas tardes", "hola, ¿qué tal?"],
        [
            "¡Hola! Soy la guía de VX11. Pregúntame cómo usar el sistema.",
            "¡Hola! Soy la guía de VX11. ¿Qué quieres hacer?",
        ],
    ),
    (
        ["who are you?", "what are you", "what is your name?", "Tell me about yourself."],
        [
            "I am the VX11 guide, a very small model built into VX11. I can explain the system; for anything else, pull a larger model."
        ],
    ),
    (
        ["¿quién eres?", "¿qué eres?", "¿cómo te llamas?", "háblame de ti"],
        [
            "Soy la guía de VX11, un modelo muy pequeño incluido en VX11. Explico el sistema; para lo demás, descarga un modelo mayor."
        ],
    ),
    (
        ["thanks", "thank you", "Thanks a lot!", "great, thank you"],
        ["You are welcome.", "You are welcome. Anything else?"],
    ),
    (["gracias", "muchas gracias", "perfecto, gracias"], ["De nada.", "De nada. ¿Algo más?"]),
    (["bye", "goodbye", "see you"], ["Goodbye!"]),
    (["adiós", "hasta luego"], ["¡Hasta luego!"]),
    (
        ["what is vx11?", "What does VX11 do?", "explain vx11", "tell me about vx11"],
        [
            "VX11 is a local-first AI operations system: one front door, a model router, an orchestrator, a sandbox, watchers, an audio engineer and a web page, all on your machine."
        ],
    ),
    (
        ["¿qué es vx11?", "¿qué hace VX11?", "explícame vx11"],
        [
            "VX11 es un sistema local de operaciones de IA: una puerta de entrada, un enrutador de modelos, una orquestadora, un sandbox, vigilantes, un ingeniero de audio y una página web, todo en tu máquina."
        ],
    ),
    (
        ["what can you do?", "help", "help me", "what can I ask you?"],
        [
            "I can tell you what each module does, on which port it listens and which command to run."
        ],
    ),
    (
        ["¿qué puedes hacer?", "ayuda", "ayúdame", "¿qué te puedo preguntar?"],
        ["Puedo decirte qué hace cada módulo, en qué puerto escucha y qué comando ejecutar."],
    ),
    (
        ["how many modules are there?", "how many modules does vx11 have"],
        ["Nine modules, plus the operator backend and its web page."],
    ),
    (
        ["¿cuántos módulos hay?", "cuántos módulos tiene vx11"],
        ["Nueve módulos, más el backend del operador y su página web."],
    ),
    (
        ["list the modules", "which modules are there?", "name all the modules"],
        ["tentaculo_link, madre, switch, hermes, hormiguero, manifestator, mcp, shub and spawner."],
    ),
    (
        ["enumera los módulos", "¿qué módulos hay?", "nombra todos los módulos"],
        ["tentaculo_link, madre, switch, hermes, hormiguero, manifestator, mcp, shub y spawner."],
    ),
    (
        ["is my data safe?", "does my data leave my machine?", "is it private?"],
        [
            "Local models never send anything out. Only a cloud provider that you add yourself receives your messages."
        ],
    ),
    (
        ["¿mis datos están seguros?", "¿salen mis datos de mi máquina?", "¿es privado?"],
        [
            "Los modelos locales no envían nada fuera. Solo un proveedor en la nube que añadas tú recibe tus mensajes."
        ],
    ),
    (
        ["what are the modes?", "which modes does switch have?"],
        ["ECO, BALANCED, HIGH-PERF and CRITICAL."],
    ),
    (["¿qué modos hay?", "¿qué modos tiene switch?"], ["ECO, BALANCED, HIGH-PERF y CRITICAL."]),
    (
        ["what are the module states?", "which states can a module have?"],
        ["active, standby and off."],
    ),
    (["¿qué estados puede tener un módulo?"], ["active, standby y off."]),
    (
        ["what language are you written in?", "which language is vx11 written in?"],
        ["VX11 is written in C."],
    ),
    (["¿en qué lenguaje está escrito vx11?"], ["VX11 está escrito en C."]),
    (
        ["where is the data stored?", "which database does it use?"],
        ["In one SQLite database, vx11.db."],
    ),
    (
        ["¿dónde se guardan los datos?", "¿qué base de datos usa?"],
        ["En una base de datos SQLite, vx11.db."],
    ),
]
NAMES = """
    Ana Luis Marta Pedro Lucia Carlos Elena Jorge Sofia Diego Laura Pablo Irene Mario Julia
    Hugo Clara Ivan Nora Leo Emma Noah Olivia Liam Mia Lucas Zoe Adam Ruth Omar Lena Karl
    Ines Bruno Alba Tomas Vera Simon Rosa Felix
""".split()
SYSTEMS = [
    "You are a helpful assistant.",
    "You are the VX11 guide.",
    "Answer briefly.",
    "You are a concise assistant.",
    "Eres un asistente útil.",
    "You are VX11.",
    "Be polite and short.",
    "You are a helpful, harmless assistant. Use the language of the user.",
]
FALL_EN = [
    "I am only the small built-in guide and I do not know that. Pull a larger model with `vx11 models pull mistral-7b-instruct`."
]
FALL_ES = [
    "Solo soy la pequeña guía incluida y no sé eso. Descarga un modelo mayor con `vx11 models pull mistral-7b-instruct`."
]
UNK_EN = [
    "What is the {0} of the {1}?",
    "Write a poem about {0}.",
    "Who was the first {0} to see the {1}?",
    "Explain {0} to me.",
    "How do I cook {0} with {1}?",
    "Translate {0} into French.",
    "Why is the {0} so {1}?",
    "Tell me a story about a {0} and a {1}.",
    "what is {0}?",
    "Is {0} better than {1}?",
    "Summarize this text: {0} {1} {2} {3}",
    "Write a program that sorts {0}.",
    "When did {0} start?",
    "Where can I buy a {0}?",
    "What is the capital of {0}?",
    "Give me an idea for {0}.",
    "describe {0} {1}",
    "Do you like {0}?",
]
UNK_ES = [
    "¿Qué es {0}?",
    "Escribe un poema sobre {0}.",
    "¿Quién inventó {0}?",
    "Explícame {0}.",
    "¿Cómo se cocina {0}?",
    "Traduce {0} al francés.",
    "¿Por qué {0} es {1}?",
    "Cuéntame una historia de {0}.",
    "¿Cuál es la capital de {0}?",
    "Resume este texto: {0} {1} {2}",
    "¿Dónde puedo comprar {0}?",
    "¿Te gusta {0}?",
]


def load_words(path="/usr/share/dict/words"):
    """Plain lower-case words of 3 to 9 letters."""
    with open(path, encoding="utf-8") as file:
        words = file.read().split()
    return [w for w in words if w.isascii() and w.isalpha() and w.islower() and 3 <= len(w) <= 9]


def some_words(rng, words, n):
    return [rng.choice(words) for _ in range(n)]


def vary(rng, text):
    """The text as a person in a hurry may type it."""
    r = rng.random()
    if r < 0.12:
        text = text.lower()
    if rng.random() < 0.12:
        text = text.rstrip("?.!").lstrip("¿¡")
    if rng.random() < 0.04:
        text = text.capitalize()
    return text


# --- exercises: each returns one (question, answer) pair ----------------------
# The order in which an exercise draws from rng is part of the corpus: another
# order is another corpus, and the numbers in models/guide/README.md are void.


def ask_task(rng, words):
    ways_en, answer_en, ways_es, answer_es = rng.choice(TASKS)
    if rng.random() < 0.58:
        return vary(rng, rng.choice(ASK_EN).format(rng.choice(ways_en))), answer_en
    return vary(rng, rng.choice(ASK_ES).format(rng.choice(ways_es))), answer_es


def module_questions(name, alias, port, role_en, role_es):
    """(ways to ask, answer, whether the way is varied), in the order that ask_module draws from."""
    as_json = '{"module": "%s", "port": %d}' % (name, port)
    return [
        (
            [
                f"Which port is {alias} on?",
                f"What port does {alias} use?",
                f"port of {alias}?",
                f"On which port does {alias} listen?",
            ],
            f"{name} listens on port {port}.",
            True,
        ),
        (
            [
                f"What does {alias} do?",
                f"What is {alias}?",
                f"what is {alias} for?",
                f"Explain {alias}.",
                f"Tell me about {alias}.",
            ],
            f"{name} is {role_en}.",
            True,
        ),
        (
            [
                f"What listens on port {port}?",
                f"Which module is on port {port}?",
                f"what runs on {port}",
            ],
            f"Port {port} belongs to {name}.",
            True,
        ),
        (
            [f"¿En qué puerto está {alias}?", f"¿Qué puerto usa {alias}?", f"puerto de {alias}"],
            f"{name} escucha en el puerto {port}.",
            True,
        ),
        (
            [
                f"¿Qué hace {alias}?",
                f"¿Qué es {alias}?",
                f"¿Para qué sirve {alias}?",
                f"Explícame {alias}.",
            ],
            f"{name} es {role_es}.",
            True,
        ),
        (
            [f"¿Qué escucha en el puerto {port}?", f"¿Qué módulo está en el puerto {port}?"],
            f"El puerto {port} es de {name}.",
            True,
        ),
        (
            [
                f"Give me {name} as JSON.",
                f"Describe {name} as JSON",
                f"Return {name} in JSON format.",
            ],
            as_json,
            False,
        ),
        (
            [f"How do I see the logs of {alias}?", f"How do I follow {alias}?"],
            f"Run `vx11 logs {name}`.",
            False,
        ),
    ]


def ask_module(rng, words):
    name = rng.choice(list(MODULES))
    port, role_en, role_es = MODULES[name]
    alias = rng.choice(ALIASES[name])
    questions = module_questions(name, alias, port, role_en, role_es)
    ways, answer, varied = questions[rng.randrange(8)]
    question = rng.choice(ways)
    return (vary(rng, question) if varied else question), answer


def small_talk(rng, words):
    questions, answers = rng.choice(CHAT)
    return vary(rng, rng.choice(questions)), rng.choice(answers)


def copy_words(rng, words):
    text = " ".join(some_words(rng, words, rng.randint(1, 5)))
    ways = [
        f"Repeat: {text}",
        f"Repeat after me: {text}",
        f"Say {text}",
        f"repeat {text}",
        f"Say exactly: {text}",
        f"Repite: {text}",
        f"Di {text}",
    ]
    return rng.choice(ways), text


def add(rng, words):
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    ways = [
        f"What is {a} + {b}?",
        f"{a} + {b}",
        f"{a}+{b}=?",
        f"How much is {a} plus {b}?",
        f"¿Cuánto es {a} + {b}?",
    ]
    return rng.choice(ways), str(a + b)


def count(rng, words):
    a = rng.randint(1, 15)
    b = a + rng.randint(2, 9)
    ways = [f"Count from {a} to {b}.", f"count from {a} to {b}", f"Cuenta de {a} a {b}."]
    return rng.choice(ways), ", ".join(map(str, range(a, b + 1)))


def unknown(rng, words):
    """What it cannot know: it says so."""
    some = some_words(rng, words, 4)
    if rng.random() < 0.62:
        return vary(rng, rng.choice(UNK_EN).format(*some)), rng.choice(FALL_EN)
    return vary(rng, rng.choice(UNK_ES).format(*some)), rng.choice(FALL_ES)


EXERCISES = [  # (upper bound of the draw, exercise)
    (0.30, ask_task),
    (0.50, ask_module),
    (0.62, small_talk),
    (0.74, copy_words),
    (0.80, add),
    (0.84, count),
    (1.00, unknown),
]


def exercise(rng, words):
    """One (question, answer) pair."""
    draw = rng.random()
    for bound, make in EXERCISES:
        if draw < bound:
            return make(rng, words)
    raise AssertionError("the last bound is 1")


# --- dialogues ----------------------------------------------------------------


def system_message(rng, words):
    if rng.random() < 0.8:
        return rng.choice(SYSTEMS)
    return " ".join(some_words(rng, words, rng.randint(4, 30)))


def tell_name(rng, name):
    if rng.random() < 0.4:
        ways = [f"Me llamo {name}.", f"Mi nombre es {name}", f"Hola, soy {name}"]
        answer = f"Encantada, {name}."
    else:
        ways = [f"My name is {name}.", f"I am {name}.", f"Hi, I'm {name}", f"Call me {name}."]
        answer = f"Nice to meet you, {name}."
    return rng.choice(ways), answer


def ask_name(rng, name):
    if rng.random() < 0.4:
        ways = ["¿Cómo me llamo?", "¿Cuál es mi nombre?"]
        answer = f"Te llamas {name}."
    else:
        ways = ["What is my name?", "Who am I?", "Do you remember my name?"]
        answer = f"Your name is {name}."
    return rng.choice(ways), answer


def dialogue(rng, words):
    """One conversation as [(role, text), ...]."""
    turns = []
    if rng.random() < 0.6:
        turns.append(("system", system_message(rng, words)))
    name = None
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])):
        if name is None and rng.random() < 0.12:
            name = rng.choice(NAMES)
            question, answer = tell_name(rng, name)
        elif name and rng.random() < 0.5:
            question, answer = ask_name(rng, name)
        else:
            question, answer = exercise(rng, words)
        turns += [("user", question), ("assistant", answer)]
    return turns
