"""Balance, positions and their settings."""

from __future__ import annotations

from simulator import errors
from simulator.account import MAKER_FEE, MAX_LEVERAGE, TAKER_FEE, Income
from simulator.errors import ApiError
from simulator.instruments import Instrument
from simulator.weights import by_symbol, flat
from simulator.wire import Json, account_json, balance_json, money, position_json
from simulator.world import Ask, Route


def account(ask: Ask) -> object:
    """v3: only symbols with a position; v2 lists all, clients use both alike."""
    rows = [position_row(ask, instrument) for instrument in held(ask)]
    return account_json(ask.world.engine.margin(ask.account, ask.now_ms), rows, ask.now_ms)


def balance(ask: Ask) -> object:
    return [balance_json(ask.world.engine.margin(ask.account, ask.now_ms), ask.now_ms)]


def held(ask: Ask) -> list[Instrument]:
    instruments = ask.world.market.instruments
    return [instruments[symbol] for symbol, position in ask.account.positions.items() if position.qty]


def position_row(ask: Ask, instrument: Instrument) -> Json:
    return position_json(ask.account, instrument, ask.world.market.last(instrument.symbol, ask.now_ms))


def positions_held(ask: Ask) -> object:
    """v3: what is held, or the symbol asked for."""
    return [position_row(ask, instrument) for instrument in asked(ask) or held(ask)]


def positions_all(ask: Ask) -> object:
    """v2: every symbol, or the one asked for."""
    every = list(ask.world.market.instruments.values())
    return [position_row(ask, instrument) for instrument in asked(ask) or every]


def asked(ask: Ask) -> list[Instrument]:
    symbol = ask.params.get("symbol")
    return [ask.world.market.instrument(symbol.upper())] if symbol else []


def needed(ask: Ask) -> str:
    return ask.world.market.instrument(ask.params.need("symbol").upper()).symbol


def set_leverage(ask: Ask) -> object:
    symbol, leverage = needed(ask), ask.params.whole("leverage")
    if leverage is None or not 1 <= leverage <= MAX_LEVERAGE:
        raise ApiError(errors.BAD_LEVERAGE, leverage)
    ask.account.set_leverage(symbol, leverage)
    ask.world.engine.state.account(ask.account)
    return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": "5000000"}


def set_margin_type(ask: Ask) -> object:
    """The type is kept and shown; margin is counted as cross either way."""
    symbol, wanted = needed(ask), ask.params.need("marginType").upper()
    if wanted not in {"ISOLATED", "CROSSED"}:
        raise ApiError(errors.BAD_PARAMETER, "marginType")
    isolated = symbol in ask.account.isolated
    if isolated == (wanted == "ISOLATED"):
        raise ApiError(errors.SAME_MARGIN_TYPE)
    (ask.account.isolated.discard if isolated else ask.account.isolated.add)(symbol)
    ask.world.engine.state.account(ask.account)
    return {"code": 200, "msg": "success"}


def get_position_mode(_ask: Ask) -> object:
    return {"dualSidePosition": False}


def set_position_mode(ask: Ask) -> object:
    ask.params.need("dualSidePosition")
    if ask.params.flag("dualSidePosition"):
        raise ApiError(errors.NOT_SUPPORTED, "hedge mode")
    raise ApiError(errors.SAME_POSITION_SIDE)


def get_assets_mode(_ask: Ask) -> object:
    return {"multiAssetsMargin": False}


def brackets(ask: Ask) -> object:
    """One bracket for each symbol."""
    bracket = {
        "bracket": 1,
        "initialLeverage": MAX_LEVERAGE,
        "notionalCap": 5_000_000,
        "notionalFloor": 0,
        "maintMarginRatio": 0.005,
        "cum": 0.0,
    }
    symbols = [one.symbol for one in asked(ask) or ask.world.market.instruments.values()]
    return [{"symbol": symbol, "notionalCoef": 1.0, "brackets": [bracket]} for symbol in symbols]


def commission_rate(ask: Ask) -> object:
    return {
        "symbol": needed(ask),
        "makerCommissionRate": f"{MAKER_FEE:f}",
        "takerCommissionRate": f"{TAKER_FEE:f}",
    }


def account_config(ask: Ask) -> object:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": False,
        "updateTime": ask.now_ms,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def api_restrictions(ask: Ask) -> object:
    """What the key may do, as the spot side tells it; `can_withdraw` when the account was opened with it."""
    return {
        "ipRestrict": False,
        "createTime": ask.account.created_ms,
        "enableReading": True,
        "enableWithdrawals": ask.account.can_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": True,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": False,
    }


def symbol_config(ask: Ask) -> object:
    instruments = asked(ask) or list(ask.world.market.instruments.values())
    return [
        {
            "symbol": one.symbol,
            "marginType": "ISOLATED" if one.symbol in ask.account.isolated else "CROSSED",
            "isAutoAddMargin": False,
            "leverage": ask.account.leverage(one.symbol),
            "maxNotionalValue": "5000000",
        }
        for one in instruments
    ]


def income(ask: Ask) -> object:
    params = ask.params
    count = params.whole_within("limit", 100, 1, 1000)
    start, end = params.whole("startTime"), params.whole("endTime")
    found = [
        row
        for row in ask.account.incomes
        if params.get("symbol") in {None, row.symbol}
        and params.get("incomeType") in {None, row.kind}
        and (start is None or row.at_ms >= start)
        and (end is None or row.at_ms <= end)
    ]
    return [income_json(row) for row in (found[:count] if start is not None else found[-count:])]


def income_json(row: Income) -> Json:
    return {
        "symbol": row.symbol,
        "incomeType": row.kind,
        "income": money(row.amount),
        "asset": "USDT",
        "info": row.kind,
        "time": row.at_ms,
        "tranId": row.tran_id,
        "tradeId": str(row.trade_id) if row.trade_id else "",
    }


OF_EVERY = {"/fapi/v2/positionRisk"}
ROUTES = {
    ("GET", "/fapi/v2/account"): Route(account, flat(5), signed=True),
    ("GET", "/fapi/v3/account"): Route(account, flat(5), signed=True),
    ("GET", "/fapi/v2/balance"): Route(balance, flat(5), signed=True),
    ("GET", "/fapi/v3/balance"): Route(balance, flat(5), signed=True),
    ("GET", "/fapi/v2/positionRisk"): Route(positions_all, flat(5), signed=True),
    ("GET", "/fapi/v3/positionRisk"): Route(positions_held, flat(5), signed=True),
    ("POST", "/fapi/v1/leverage"): Route(set_leverage, flat(1), signed=True),
    ("POST", "/fapi/v1/marginType"): Route(set_margin_type, flat(1), signed=True),
    ("GET", "/fapi/v1/positionSide/dual"): Route(get_position_mode, flat(30), signed=True),
    ("POST", "/fapi/v1/positionSide/dual"): Route(set_position_mode, flat(1), signed=True),
    ("GET", "/fapi/v1/multiAssetsMargin"): Route(get_assets_mode, flat(30), signed=True),
    ("GET", "/fapi/v1/leverageBracket"): Route(brackets, by_symbol(1, 1), signed=True),
    ("GET", "/fapi/v1/commissionRate"): Route(commission_rate, flat(20), signed=True),
    ("GET", "/fapi/v1/accountConfig"): Route(account_config, flat(5), signed=True),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(api_restrictions, flat(1), signed=True),
    ("GET", "/fapi/v1/symbolConfig"): Route(symbol_config, flat(5), signed=True),
    ("GET", "/fapi/v1/income"): Route(income, flat(30), signed=True),
}
