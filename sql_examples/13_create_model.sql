-- Models are catalogue entries. Nothing is opened before the first call, and a key is never written in SQL:
-- api_key_env is the NAME of an environment variable.

-- Any OpenAI-compatible server.
CREATE OR REPLACE MODEL cloud (
    PROVIDER openai, MODEL 'gpt-4.1-mini', API_KEY_ENV 'OPENAI_API_KEY', RPM 500, PRICE_IN 0.40, PRICE_OUT 1.60
);

-- A vLLM server that runs already; SERVE '…' in place of BASE_URL would start one and stop it again.
CREATE OR REPLACE MODEL house (PROVIDER vllm, BASE_URL 'http://127.0.0.1:8000/v1', MODEL 'Qwen/Qwen2.5-7B-Instruct');

-- A GGUF file, answered inside this process by llama.cpp.
CREATE OR REPLACE MODEL mine (PROVIDER llamacpp, PATH 'models/my-model.gguf', CONTEXT_TOKENS 8192);

SELECT name, provider FROM llm_models() WHERE name IN ('cloud', 'house', 'mine') ORDER BY name;

-- Use one for a call with  model := 'cloud' , or for everything with  SET llm_model = 'cloud' .
DROP MODEL cloud;
DROP MODEL house;
DROP MODEL mine;
