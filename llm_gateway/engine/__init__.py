"""The pipeline: asyncio over bytes and frozen values. It knows its ports, not what is behind them."""
